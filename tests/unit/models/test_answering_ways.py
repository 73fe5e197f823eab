"""Every way of answering says what `model.generate` says to each prompt alone."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma2Config,
    GenerationConfig,
    GPT2Config,
    GPTJConfig,
    GptOssConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MistralConfig,
    OPTConfig,
    Qwen3Config,
)

from groundtune.errors import EvaluationError
from groundtune.models import AlibiConfig, AnsweringWork, generate_answers, stream_answers, train_tokenizer
from groundtune.models.answering.answers import Limits
from groundtune.models.answering.shared import SharedAnswering

TOKENIZER = train_tokenizer(["İşlem şu: çğıöşü ekranı açılır. "] * 3, vocab_size=300, chat_template="x")
ENTRIES = 300
SIZES = {
    "vocab_size": ENTRIES,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
CONFIGS = {
    "llama": LlamaConfig(**SIZES),
    "alibi": AlibiConfig(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
    "mistral, sliding": MistralConfig(**SIZES, sliding_window=9),
    "gemma2, sliding and capped": Gemma2Config(**SIZES, head_dim=16, sliding_window=9, attn_logit_softcapping=20.0),
    "gpt-oss, sliding with sinks": GptOssConfig(
        **SIZES, head_dim=16, sliding_window=9, num_local_experts=4, num_experts_per_tok=2
    ),
    "llama, dynamic rotation": LlamaConfig(
        **SIZES, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    ),
    "gpt2": GPT2Config(
        vocab_size=ENTRIES, n_positions=256, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1
    ),
    "bloom": BloomConfig(vocab_size=ENTRIES, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1),
    "gptj": GPTJConfig(
        vocab_size=ENTRIES, n_positions=256, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, eos_token_id=1
    ),
    "opt": OPTConfig(
        vocab_size=ENTRIES,
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        word_embed_proj_dim=32,
        pad_token_id=2,
        bos_token_id=0,
        eos_token_id=1,
    ),
    "mamba": MambaConfig(vocab_size=ENTRIES, hidden_size=32, num_hidden_layers=2, state_size=4, pad_token_id=2),
}
WAYS = {"gptj": "padded", "bloom": "single", "mamba": "single"}
"""The others share prefixes."""
QUICK = ("llama", "mistral, sliding", "gpt2", "gptj", "bloom")
"""One of each way, one with a window and one with learned positions: the fast suite's; the law below has ALiBi."""
MODELS: dict[str, torch.nn.Module] = {}


def model_of(name):
    """float64 and fresh, its weights wide apart: no two tokens are equally likely to rounding."""
    if name not in MODELS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            model = AutoModelForCausalLM.from_config(CONFIGS[name], experts_implementation="eager").double().eval()
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.dim() > 1:
                        parameter.copy_(torch.randn_like(parameter) * 0.4)
        MODELS[name] = model
    return MODELS[name]


def alone(model, prompt, stop_ids, new_tokens):
    asked = torch.tensor([prompt])
    wishes = GenerationConfig(
        do_sample=False, max_new_tokens=new_tokens, eos_token_id=sorted(stop_ids) or None, pad_token_id=2
    )
    made = model.generate(asked, attention_mask=torch.ones_like(asked), generation_config=wishes)[
        0, len(prompt) :
    ].tolist()
    return made[:-1] if made[-1] in stop_ids else made


def shared_prompts(seed, number=14, longest=24):
    """Prompts of a tree: a common beginning, contexts, questions, some that are the beginning of others, some asked twice."""
    drawn = random.Random(seed)

    def words(most):
        return [drawn.randrange(7, ENTRIES) for _ in range(drawn.randint(1, most))]

    system, contexts = words(8), [words(longest) for _ in range(3)]
    prompts = [[*system, *drawn.choice([*contexts, []]), *words(6)] for _ in range(number)]
    return [*prompts, prompts[0], prompts[1][:-1] or [9], words(3)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CONFIGS]
)
def test_answers_are_those_of_generate_for_each_prompt_alone(name) -> None:
    model, prompts, work = model_of(name), shared_prompts(name), AnsweringWork()
    free = [alone(model, prompt, set(), 9) for prompt in prompts]
    stop_ids = {free[0][3], free[2][6], free[5][1]}
    answers = generate_answers(
        model, TOKENIZER, prompts, max_new_tokens=9, batch_questions=5, stop_ids=stop_ids, work=work
    )
    assert [list(answer.token_ids) for answer in answers] == [alone(model, prompt, stop_ids, 9) for prompt in prompts]
    assert 0 < sum(answer.stopped for answer in answers) < len(prompts)
    assert (work.way, bool(work.reason)) == (WAYS.get(name, "shared"), name in WAYS)
    assert work.prompts == len(prompts)
    assert work.prompt_tokens == sum(map(len, prompts))


@pytest.mark.parametrize(
    ("changes", "way", "reason"),
    [
        (
            {
                "rope_parameters": {
                    "rope_type": "dynamic",
                    "factor": 2.0,
                    "rope_theta": 1e4,
                    "original_max_position_embeddings": 32,
                }
            },
            "single",
            "longest sequence",
        ),
        # transformers then keeps another kind of cache, which padding does not fit
        ({"attention_chunk_size": 16}, "single", "chunks of 16"),
    ],
)
def test_what_depends_on_the_longest_sequence_is_not_shared_beyond_its_limit(changes, way, reason) -> None:
    model = LlamaForCausalLM(LlamaConfig(**SIZES | {"max_position_embeddings": 32}, **changes)).double().eval()
    model.config.max_position_embeddings = 64
    work = AnsweringWork()
    wishes = {"batch_questions": 4, "stop_ids": set(), "work": work}
    prompts = [[9] * 12, [9] * 11 + [8, 7]]
    generate_answers(model, TOKENIZER, prompts, max_new_tokens=3, **wishes)
    assert work.way == "shared"
    long = [[9] * 40, [9] * 39 + [8, 7]]
    answers = generate_answers(model, TOKENIZER, long, max_new_tokens=3, **wishes)
    assert work.way == way
    assert reason in work.reason
    assert [list(answer.token_ids) for answer in answers] == [alone(model, prompt, set(), 3) for prompt in long]


@settings(max_examples=tries(150), deadline=None)
@given(
    st.sampled_from(["llama", "alibi", "mistral, sliding"]),
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.integers(1, 20),
    st.sampled_from([1, 60_000, 1 << 30]),
)
def test_neither_room_nor_order_nor_neighbours_change_an_answer(name, seed, batch_questions, new_tokens, cache) -> None:
    model, prompts = model_of(name), shared_prompts(seed, number=9)
    stop_ids = set(range(50, 90))
    wishes = {"max_new_tokens": new_tokens, "stop_ids": stop_ids}
    answers = generate_answers(model, TOKENIZER, prompts, batch_questions=batch_questions, cache_bytes=cache, **wishes)
    backwards = generate_answers(model, TOKENIZER, prompts[::-1], batch_questions=4, **wishes)
    assert answers == backwards[::-1]
    for place in (0, 4):
        assert list(answers[place].token_ids) == alone(model, prompts[place], stop_ids, new_tokens)


def test_every_token_of_the_tree_is_computed_once() -> None:
    prompts = shared_prompts("once", number=30)
    work = AnsweringWork()
    # little room: many waves, each of which takes up where the one before it ended
    generate_answers(
        model_of("llama"), TOKENIZER, prompts, max_new_tokens=3, batch_questions=4, stop_ids=set(), work=work
    )
    tree = {tuple(prompt[: end + 1]) for prompt in prompts for end in range(len(prompt))}
    assert work.computed_prompt_tokens == len(tree) < work.prompt_tokens
    assert work.prompt_passes > 4


def test_answers_come_as_they_end_and_the_model_may_be_used_and_left_in_between() -> None:
    model, prompts = model_of("llama"), shared_prompts("stream")
    wishes = {"max_new_tokens": 8, "batch_questions": 3, "stop_ids": set(range(40, 90))}
    whole = generate_answers(model, TOKENIZER, prompts, **wishes)
    model.train()
    written = {}
    for place, answer in stream_answers(model, TOKENIZER, prompts, **wishes):
        assert not model.training
        assert alone(model, prompts[place], wishes["stop_ids"], 8) == list(answer.token_ids)
        written[place] = answer
        if len(written) == 6:
            break
    del answer
    # what was killed goes on with the prompts that are not answered
    left = [place for place in range(len(prompts)) if place not in written]
    rest = generate_answers(model, TOKENIZER, [prompts[place] for place in left], **wishes)
    assert [dict(zip(left, rest, strict=True)).get(place) or written[place] for place in range(len(prompts))] == whole
    model.eval()


def test_an_ended_answer_makes_room_for_a_waiting_prompt() -> None:
    model = model_of("llama")
    prompts = [[place, place + 1] for place in range(20, 60)]
    free = generate_answers(model, TOKENIZER, prompts, max_new_tokens=30, batch_questions=8, stop_ids=set())
    stop_ids = {answer.token_ids[place % 5] for place, answer in enumerate(free) if place % 8}
    work = AnsweringWork()
    answers = generate_answers(
        model, TOKENIZER, prompts, max_new_tokens=30, batch_questions=8, stop_ids=stop_ids, work=work
    )
    # in batches of 8 each batch would wait for its longest answer
    batches = [answers[start : start + 8] for start in range(0, 40, 8)]
    waiting = sum(max(answer.new_tokens for answer in batch) for batch in batches)
    assert work.decode_steps < waiting * 0.8
    assert work.new_tokens == sum(answer.new_tokens for answer in answers)


def test_the_cache_stays_within_its_bytes_and_its_columns_within_the_longest_rows() -> None:
    model = model_of("llama")
    drawn = random.Random(5)
    # one long prompt first, then many short ones: rows must not all become as long as it was
    prompts = [tuple(drawn.randrange(7, ENTRIES) for _ in range(length)) for length in (200, *[9] * 40)]
    column_bytes = 2 * 2 * 16 * 8
    """Keys and values of 2 layers, 2 heads of 8 wide in 8 bytes."""
    limit = 4 * (200 + 8 + 80) * column_bytes
    engine = SharedAnswering(model, Limits(32, limit, 8), frozenset(), AnsweringWork(), column_bytes)
    most = 0
    for _ in engine.run(prompts):
        held = [*engine.store.keys.values(), *engine.store.values.values()]
        most = max(most, sum(each.numel() * each.element_size() for each in held))
    assert engine.store.column_bytes == column_bytes
    assert limit / 2 < most <= limit


def test_layers_multiply_as_before_when_the_iterator_is_left() -> None:
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
    prompts = shared_prompts("left")
    attention = model.config._attn_implementation
    for _ in stream_answers(model, TOKENIZER, prompts, max_new_tokens=4, batch_questions=3, stop_ids=set()):
        break
    assert not [name for name, module in model.named_modules() if "forward" in module.__dict__]
    assert model.config._attn_implementation == attention


def test_half_precision_shares_prefixes_too() -> None:
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).to(torch.bfloat16).eval()
    work = AnsweringWork()
    wishes = {"max_new_tokens": 5, "stop_ids": set(), "work": work}
    answers = generate_answers(model, TOKENIZER, shared_prompts("half"), batch_questions=4, **wishes)
    assert work.way == "shared"
    assert {answer.new_tokens for answer in answers} == {5}


def test_no_tokens_to_answer_with_is_refused() -> None:
    with pytest.raises(EvaluationError, match="max_new_tokens is 0"):
        stream_answers(model_of("llama"), TOKENIZER, [[9]], max_new_tokens=0, batch_questions=1, stop_ids=set())
