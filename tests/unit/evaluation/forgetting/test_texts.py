"""Perplexity of general text: which tokens, how they are cut, and what becomes of their losses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import ModelConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation.forgetting import GeneralText, compare_texts, cut_windows, take_texts
from groundtune.models import build_llama, train_tokenizer
from groundtune.training import Tokenised, measure_each_loss
from groundtune.training.documents import encode_text


def letters(text):
    """A token a character."""
    return list(map(ord, text))


def texts_of(*lengths):
    return [GeneralText(tuple(range(100, 100 + length)), 2 * length) for length in lengths]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.sampled_from([(), (1,), (1, 2)]), st.integers(4, 12))
def test_every_token_is_scored_once_in_windows_that_are_short_enough(lengths, front, window_tokens):
    texts = texts_of(*lengths)
    windows = cut_windows(texts, front, window_tokens=window_tokens)
    for owner, text in enumerate(texts):
        own = [each for each, of in zip(windows.sequences, windows.owners, strict=True) if of == owner]
        scored = [token for each in own for token in each.input_ids[each.start :]]
        assert scored == list(text.token_ids[0 if front else 1 :])
        assert all(each.input_ids[: len(front)] == front for each in own)
        assert all(0 < each.start < len(each.input_ids) <= window_tokens for each in own)


def test_a_window_begins_with_the_last_token_of_the_one_before_it():
    first, second = cut_windows(texts_of(7), (1,), window_tokens=6).sequences
    assert second.input_ids[1] == first.input_ids[-1]


def test_files_share_the_room_and_a_short_one_leaves_its_rest_to_the_others():
    sources = [[["a" * 10]], [["b " * 3000]], [["c " * 3000]]]
    taken = take_texts(sources, letters, max_tokens=2010)
    sizes = {chr(text.token_ids[0]): len(text.token_ids) for text in taken.texts}
    assert sizes["a"] == 10
    assert sum(sizes.values()) <= 2010
    assert abs(sizes["b"] - sizes["c"]) <= 700
    assert (taken.cut, taken.unread) == (2, 0)


def test_a_text_is_cut_at_a_blank_and_its_bytes_are_those_of_what_is_kept():
    [text] = take_texts([[["şeker " * 200]]], letters, max_tokens=601).texts
    kept = "".join(map(chr, text.token_ids))
    assert kept == ("şeker " * 200)[: len(kept)]
    assert not kept.endswith("şe")
    assert kept.split()[-1] == "şeker"
    assert text.bytes == len(kept.encode())
    assert 595 <= len(kept) <= 601


def test_a_language_without_blanks_is_cut_between_characters():
    [text] = take_texts([[["灯台" * 400]]], letters, max_tokens=600).texts
    assert 590 <= len(text.token_ids) <= 600
    assert text.bytes == 3 * len(text.token_ids)


def test_what_stands_behind_the_room_is_not_read():
    def endless():
        while True:
            yield ["word " * 10]

    taken = take_texts([endless(), endless()], letters, max_tokens=1200)
    assert 1100 < sum(len(text.token_ids) for text in taken.texts) <= 1200


def test_rather_fewer_files_are_read_than_the_first_lines_of_all():
    taken = take_texts([[["word " * 500]] for _ in range(40)], letters, max_tokens=2000)
    assert len(taken.texts) == 4
    assert taken.unread == 36


TEXT = "Makara kartı açılır. Lot numarası girilir ve kaydedilir.\n"
TOKENIZER = train_tokenizer([TEXT] * 3, vocab_size=320, chat_template="x")
SHAPE = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=64, copying_start=False, context_tokens=64)


def measured(model, windows):
    tokenised = [
        Tokenised(each.input_ids, tuple(place >= each.start for place in range(len(each.input_ids))))
        for each in windows.sequences
    ]
    return measure_each_loss(model, tokenised, max_pack_tokens=256, threads=1)[0]


def test_the_loss_is_that_of_the_models_logits():
    model = build_llama(SHAPE, TOKENIZER, seed=1).eval()
    ids = encode_text(TOKENIZER, TEXT)
    windows = cut_windows([GeneralText(tuple(ids), len(TEXT.encode()))], (0,), window_tokens=64)
    with torch.no_grad():
        expected = model(torch.tensor([[0, *ids]]), labels=torch.tensor([[-100, *ids]])).loss
    assert sum(measured(model, windows)) / len(ids) == pytest.approx(float(expected), rel=1e-5)


def compared(before, after, lengths=(5, 5, 5)):
    texts = texts_of(*lengths)
    return compare_texts(texts, cut_windows(texts, (1,), window_tokens=50), before, after, window_tokens=50, seed=1)


def test_figures_are_those_of_the_whole_text_not_means_over_its_parts():
    # 6 nats over 2 tokens and 4 over 8: 10 / 10, although the means are 3 and 0.5
    summary = compared([6.0, 4.0], [6.0, 4.0], (2, 8))
    assert summary.before.loss.value == pytest.approx(1.0)
    assert summary.before.perplexity.value == pytest.approx(math.e)
    # 20 bytes
    assert summary.before.bits_per_byte.value == pytest.approx(10 / 20 / math.log(2))
    assert (summary.tokens, summary.bytes, summary.texts, summary.unit) == (10, 20, 2, "windows")


def test_a_model_that_has_not_changed_has_forgotten_exactly_nothing():
    summary = compared([3.3, 4.1, 5.9], [3.3, 4.1, 5.9])
    for figure in (summary.loss_difference, summary.bits_per_byte_difference, summary.rise):
        assert (figure.value, figure.low, figure.high) == (0.0, 0.0, 0.0)


def test_the_rise_is_that_of_the_perplexity():
    summary = compared([5.0, 5.0, 5.0], [6.0, 5.5, 5.6])
    assert summary.rise.value == pytest.approx(summary.after.perplexity.value / summary.before.perplexity.value - 1)
    assert summary.rise.low <= summary.rise.value <= summary.rise.high
    assert summary.loss_difference.low > 0


def test_the_difference_is_paired():
    before = [1.0, 9.0, 2.0, 30.0, 5.0, 14.0]
    summary = compared(before, [value + 0.5 for value in before], (5,) * 6)
    # every text is worse by the same: sure, although the texts themselves lie far apart
    assert summary.loss_difference.low == pytest.approx(summary.loss_difference.high) == pytest.approx(0.1)
    assert summary.before.loss.high > summary.after.loss.low


def test_exchanging_the_models_flips_the_sign():
    one, other = compared([5.0, 6.0, 9.0], [6.0, 5.5, 9.6]), compared([6.0, 5.5, 9.6], [5.0, 6.0, 9.0])
    assert one.loss_difference.value == pytest.approx(-other.loss_difference.value)
    assert one.loss_difference.low == pytest.approx(-other.loss_difference.high)


def test_many_texts_are_resampled_as_texts_and_few_as_windows():
    assert compared([1.0] * 20, [1.0] * 20, (5,) * 20).unit == "texts"
    assert compared([1.0] * 19, [1.0] * 19, (5,) * 19).unit == "windows"


def test_of_a_single_window_no_interval_is_claimed():
    summary = compared([5.0], [6.0], (5,))
    assert summary.rise.value == pytest.approx(math.expm1(0.2))
    assert (summary.rise.low, summary.rise.high) == (None, None)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_weights_that_give_no_number_are_an_error(broken):
    with pytest.raises(EvaluationError, match="after tuning is not a finite number"):
        compared([5.0, 5.0, 5.0], [5.0, broken, 5.0])


def test_no_text_is_an_error():
    with pytest.raises(EvaluationError, match="no token to measure"):
        compared([], [], ())
