"""Conversations over the length: what goes, what never goes, and when it is said that nothing can."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.chat import BUILTIN_TEMPLATES, decode, fit, render, render_examples, stop_token_ids
from groundtune.chat.fitting import TOO_LONG, TOO_LONG_WITHOUT_PARAGRAPHS, TOO_LONG_WITHOUT_TURNS
from groundtune.errors import DataError, TemplateError
from groundtune.types import Conversation, Message, Origin

STRIPPING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last and m.reasoning_content %}<think>{{ m.reasoning_content }}"
    "</think>{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@lru_cache(maxsize=4)
def tokenizer(template: str = BUILTIN_TEMPLATES["chatml"]) -> Any:
    from groundtune.models import train_tokenizer

    made = train_tokenizer(["lot depo kayıt\n"] * 20, vocab_size=300, chat_template="")
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    made.chat_template = template
    return made


def conversation(*messages: Message) -> Conversation:
    return Conversation("set:7", Origin("set", "set.jsonl", 7), messages)


def tokens(conversation: Conversation, **asked: Any) -> int:
    return max(len(each.token_ids) for each in render_examples(tokenizer(), conversation.messages, **asked))


def told(found: Any, template: str = BUILTIN_TEMPLATES["chatml"]) -> list[str]:
    assert isinstance(found, list), found
    return [decode(tokenizer(template), each.token_ids) for each in found]


SYSTEM = Message("system", "Be brief.")
THREE = conversation(
    SYSTEM,
    *(
        message
        for name in ("one", "two", "three")
        for message in (Message("user", f"u-{name}"), Message("assistant", f"a-{name}"))
    ),
)
LONG = conversation(
    SYSTEM,
    Message("user", "Context:\nfirst\n\nsecond\n\nthird\n\nfourth\n\nQuestion?"),
    Message("assistant", "One.\n\nTwo.\n\nThree."),
)


@pytest.mark.parametrize("policy", ["error", "skip", "truncate_left", "truncate_context"])
def test_what_fits_is_left_alone(policy: Any) -> None:
    found = fit(tokenizer(), THREE, max_tokens=tokens(THREE), policy=policy)
    assert found == [render(tokenizer(), THREE.messages)]


def test_an_error_names_file_row_and_length() -> None:
    with pytest.raises(DataError, match=rf"set.jsonl:7: {tokens(THREE)} tokens, over data.max_tokens \(20\)"):
        fit(tokenizer(), THREE, max_tokens=20, policy="error")


def test_skipping_gives_the_reason() -> None:
    assert fit(tokenizer(), THREE, max_tokens=20, policy="skip") == TOO_LONG


def test_whole_turns_go_oldest_first_and_the_system_prompt_stays() -> None:
    (text,) = told(fit(tokenizer(), THREE, max_tokens=tokens(THREE) - 5, policy="truncate_left"))
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nu-two<|im_end|>\n<|im_start|>assistant\na-two<|im_end|>\n"
        "<|im_start|>user\nu-three<|im_end|>\n<|im_start|>assistant\na-three<|im_end|>"
    )
    assert fit(tokenizer(), THREE, max_tokens=12, policy="truncate_left") == TOO_LONG_WITHOUT_TURNS


def test_paragraphs_go_from_the_end_but_never_instruction_question_or_answer() -> None:
    for dropped in (1, 2, 3):
        kept = ["Context:\nfirst", "second", "third", "fourth"][: 4 - dropped]
        wanted = "\n\n".join([*kept, "Question?"])
        shorter = conversation(SYSTEM, Message("user", wanted), LONG.messages[2])
        # the line feed behind the last stop token goes before any paragraph does
        (text,) = told(fit(tokenizer(), LONG, max_tokens=tokens(shorter) - 1, policy="truncate_context"))
        assert f"user\n{wanted}<|im_end|>" in text
        assert text.endswith("One.\n\nTwo.\n\nThree.<|im_end|>")
    least = conversation(SYSTEM, Message("user", "Context:\nfirst\n\nQuestion?"), LONG.messages[2])
    assert (
        fit(tokenizer(), LONG, max_tokens=tokens(least) - 2, policy="truncate_context") == TOO_LONG_WITHOUT_PARAGRAPHS
    )


def test_the_longest_text_loses_first_and_a_tools_text_down_to_its_first_paragraph() -> None:
    messages = (
        Message("user", "a\n\nb\n\nc"),
        Message("assistant", "I look."),
        Message("tool", "found\n\n" + "\n\n".join(["lot depo kayıt"] * 6)),
        Message("assistant", "Yes."),
    )
    least = conversation(*messages[:2], Message("tool", "found"), messages[3])
    (text,) = told(fit(tokenizer(), conversation(*messages), max_tokens=tokens(least), policy="truncate_context"))
    assert "tool\nfound<|im_end|>" in text
    assert "a\n\nb\n\nc" in text


def test_what_stands_behind_the_last_trained_turn_goes_before_anything_else() -> None:
    messages = (*THREE.messages, Message("user", "lot " * 50))
    for policy in ("truncate_left", "truncate_context"):
        found = fit(tokenizer(), conversation(*messages), max_tokens=tokens(THREE), policy=policy)  # type: ignore[arg-type]
        assert told(found)[0].endswith("a-three<|im_end|>")
        assert "u-one" in told(found)[0]


def test_of_a_conversation_in_several_examples_each_is_made_to_fit() -> None:
    made = tokenizer(STRIPPING)
    messages = [replace_thoughts(each) for each in THREE.messages]
    whole = render_examples(made, messages)
    limit = len(whole[2].token_ids) - 1
    texts = told(fit(made, conversation(*messages), max_tokens=limit, policy="truncate_left"), STRIPPING)
    assert [text.count("<|im_start|>") for text in texts] == [3, 5, 5]
    assert "u-one" in texts[1]
    assert "u-one" not in texts[2]
    assert all(
        text.endswith(f"<think>Hm.</think>a-{name}<|im_end|>")
        for text, name in zip(texts, ("one", "two", "three"), strict=True)
    )


def replace_thoughts(message: Message) -> Message:
    return Message(message.role, message.content, thinking="Hm." if message.role == "assistant" else "")


def test_what_the_template_refuses_is_refused_here() -> None:
    with pytest.raises(TemplateError, match="expected an answer"):
        fit(tokenizer(), conversation(Message("user", "u"), Message("assistant", " ")), max_tokens=5, policy="skip")


TEXTS = st.lists(st.sampled_from(["lot", "depo kayıt", "a", ""]), min_size=1, max_size=6).map("\n\n".join)


@settings(max_examples=tries(240), deadline=None)
@given(
    turns=st.lists(st.tuples(TEXTS, TEXTS.map(lambda text: text + "x")), min_size=1, max_size=4),
    max_tokens=st.integers(16, 120),
    policy=st.sampled_from(["truncate_left", "truncate_context"]),
)
def test_nothing_is_over_length_and_every_stop_token_is_trained(
    turns: list[tuple[str, str]], max_tokens: int, policy: Any
) -> None:
    messages = [message for user, answer in turns for message in (Message("user", user), Message("assistant", answer))]
    found = fit(tokenizer(), conversation(*messages), max_tokens=max_tokens, policy=policy)
    if isinstance(found, str):
        assert found in (TOO_LONG_WITHOUT_TURNS, TOO_LONG_WITHOUT_PARAGRAPHS)
        return
    stop = stop_token_ids(tokenizer())[0]
    for each in found:
        assert len(each.token_ids) <= max_tokens
        text = decode(tokenizer(), [number for number, flag in zip(each.token_ids, each.trained, strict=True) if flag])
        answers = [answer for _, answer in turns]
        assert text == "".join(answer + "<|im_end|>" for answer in answers[-text.count("<|im_end|>") :])
        assert [number for number, flag in zip(each.token_ids, each.trained, strict=True) if flag][-1] == stop
