import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import ModelConfig
from groundtune.errors import EvaluationError
from groundtune.models import build_llama, decode_answer, generate_answers, stream_answer, train_tokenizer

TOKENIZER = train_tokenizer(["İşlem şu: çğıöşü ekranı açılır. "] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=128, copying_start=False)
MODEL = build_llama(SMALL, TOKENIZER, seed=3).eval()
with torch.no_grad():
    # untrained logits lie so near to one another that rounding could decide; wider ones tell the tokens apart
    for parameter in MODEL.parameters():
        parameter.mul_(6.0 if parameter.dim() > 1 else 1.0)


def answer(prompts, **changes):
    settings = {"max_new_tokens": 12, "batch_questions": 4, "stop_ids": {1, 6}} | changes
    return generate_answers(MODEL, TOKENIZER, prompts, **settings)


prompts_strategy = st.lists(st.lists(st.integers(7, 280), min_size=1, max_size=30), min_size=1, max_size=7)


@settings(max_examples=tries(60), deadline=None)
@given(prompts_strategy, st.integers(1, 5))
def test_batching_does_not_change_an_answer(prompts, batch_questions) -> None:
    together = answer(prompts, batch_questions=batch_questions)
    assert together == [answer([prompt])[0] for prompt in prompts]


def test_answers_equal_those_of_transformers_own_greedy_search() -> None:
    prompt = [0, 40, 50, 60]
    ours = answer([prompt], stop_ids=set())[0]
    theirs = MODEL.generate(
        torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=2
    )
    assert list(ours.token_ids) == theirs[0, 4:].tolist()


def test_a_stop_token_ends_an_answer_and_is_not_part_of_it() -> None:
    free = answer([[0, 40, 50, 60]], stop_ids=set())[0]
    assert not free.stopped
    assert free.new_tokens == 12
    stop = free.token_ids[5]
    first = free.token_ids.index(stop)
    ended = answer([[0, 40, 50, 60]], stop_ids={stop})[0]
    assert ended.stopped
    assert ended.token_ids == free.token_ids[:first]
    assert ended.new_tokens == first + 1


def test_rows_that_stop_early_do_not_disturb_the_others() -> None:
    prompts = [[0, place, place + 1] for place in range(20, 36)]
    free = answer(prompts, batch_questions=16, stop_ids=set())
    # stops most rows at different steps, so that finished rows are taken out more than once
    stops = {row.token_ids[place % 9] for place, row in enumerate(free) if place % 4}
    batched = answer(prompts, batch_questions=16, stop_ids=stops)
    assert sum(row.stopped for row in batched) >= 8
    assert batched == [answer([prompt], stop_ids=stops)[0] for prompt in prompts]


def test_progress_is_told_of_every_question_and_training_mode_comes_back() -> None:
    told: list[int] = []
    MODEL.train()
    answer([[0, 9]] * 5, batch_questions=2, progress=told.append)
    assert told == [1] * 5
    assert MODEL.training
    MODEL.eval()


def test_an_empty_prompt_is_refused_and_no_prompts_give_no_answers() -> None:
    assert answer([]) == []
    with pytest.raises(EvaluationError, match="prompt 1 has no tokens"):
        answer([[0], []])


@settings(max_examples=tries(100), deadline=None)
@given(st.lists(st.integers(7, 280), min_size=1, max_size=20))
def test_streamed_pieces_join_to_the_answer(prompt) -> None:
    pieces = list(stream_answer(MODEL, TOKENIZER, prompt, max_new_tokens=12, stop_ids={1, 6}))
    assert all(pieces)
    assert "".join(pieces) == answer([prompt])[0].text


def test_a_character_cut_in_half_is_held_back_until_it_is_whole() -> None:
    tokenizer = train_tokenizer(["abc"], vocab_size=272, chat_template="x")
    ids = tokenizer("aş€", add_special_tokens=False)["input_ids"]
    # one byte each: a, two of ş, three of the euro sign
    assert [decode_answer(tokenizer, ids[:length]) for length in range(1, 7)] == ["a", "a", "aş", "aş", "aş", "aş€"]
