"""Thoughts, tools, turns that change, per-turn control: small templates, each with one habit of real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.chat import decode, render, render_examples, render_many, render_prompt, stop_token_ids
from groundtune.chat.modes import switch_names
from groundtune.errors import TemplateError
from groundtune.types import Message, ToolCall

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|end|>", "<|user|>", "<|bot|>", "<|tool|>", "<|call|>", "<|over|>")
HEADER = "{{ '<|im_start|>' ~ m.role ~ '\n' }}"
CALLS = "{% for c in m.tool_calls or [] %}<|call|>{{ c.function.name ~ ' ' ~ c.function.arguments | tojson }}<|over|>{% endfor %}"
ASK = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
EMPTY = "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
# knows no thoughts, writes contents as they are
BARE = "{% for m in messages %}" + HEADER + "{{ m.content }}<|im_end|>\n{% endfor %}" + ASK
# thoughts of the last turn, none of earlier ones; a switch for empty ones
HYBRID = (
    "{% for m in messages %}" + HEADER + "{% if m.role == 'assistant' and loop.last %}"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content | trim }}\n</think>\n\n{% else %}"
    + EMPTY
    + "{% endif %}"
    "{% endif %}{{ m.content }}"
    + CALLS
    + "<|im_end|>\n{% endfor %}"
    + ASK
    + "{% if add_generation_prompt %}"
    + EMPTY
    + "{% endif %}"
)
# keeps all thoughts, has tools in front
TOOLS = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}"
    + HEADER
    + "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}"
    + CALLS
    + "<|im_end|>\n{% endfor %}"
    + ASK
)
# cuts thoughts out of every finished turn, and opens them for the next one
CUTTING = (
    "{% for m in messages %}{{ '<|user|>' ~ m.content if m.role == 'user' else '<|bot|>' ~ m.content.split('</think>')[-1] ~ "
    "'<|end|>' }}{% endfor %}{% if add_generation_prompt %}<|bot|><think>\n{% endif %}"
)
# nothing closes a turn but the next message's opening
OPEN = (
    "{% for m in messages %}{{ {'user': '<|user|>', 'assistant': '<|bot|>', 'tool': '<|tool|>'}[m.role] ~ '\n' ~ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name ~ c.function.arguments | tojson }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<|bot|>\n{% endif %}"
)


@lru_cache(maxsize=32)
def tokenizer(template: str, also: tuple[str, ...] = ()) -> Any:
    from groundtune.models import train_tokenizer

    made = train_tokenizer(
        ["Lot numarası depoda verilir.\n", "A lot is a batch.\n"] * 20, vocab_size=400, chat_template=""
    )
    made.add_special_tokens({"additional_special_tokens": [*SPECIAL, *also]})
    made.chat_template = template
    return made


def spans(made: Any, examples: Sequence[Any]) -> list[list[str]]:
    """The decoded trained stretches of each example."""
    found = []
    for each in examples:
        padded = [False, *each.trained, False]
        edges = [place for place, (before, here) in enumerate(pairwise(padded)) if before != here]
        stretches = zip(edges[::2], edges[1::2], strict=True)
        found.append([decode(made, each.token_ids[begin:end]) for begin, end in stretches])
    return found


def trained(template: str, messages: Sequence[Message], **asked: Any) -> list[list[str]]:
    return spans(tokenizer(template), render_examples(tokenizer(template), messages, **asked))


FIND = json.dumps({"type": "function", "function": {"name": "find_lot", "parameters": {"type": "object"}}})
CALL = ToolCall("find_lot", '{"lot": "A-1", "n": 3}', "id000000a")
USER, THOUGHTFUL = Message("user", "Lot?"), Message("assistant", "A batch.", thinking="Hm.\nSo.")
TWO_THOUGHTS = (USER, THOUGHTFUL, Message("user", "And?"), Message("assistant", "None.", thinking="No."))
CALLING = (
    USER,
    Message("assistant", "", tool_calls=(CALL,)),
    Message("tool", "found it", tool_call_id=CALL.call_id),
    Message("assistant", "It is A-1."),
)


# --- thoughts ------------------------------------------------------------------------------------------------------


def test_a_template_that_knows_content_only_gets_thoughts_as_text_in_front_of_it() -> None:
    assert trained(BARE, TWO_THOUGHTS) == [
        ["<think>\nHm.\nSo.\n</think>\n\nA batch.<|im_end|>", "<think>\nNo.\n</think>\n\nNone.<|im_end|>"]
    ]


def test_a_template_that_knows_thoughts_gets_them_in_their_field() -> None:
    assert trained(TOOLS, TWO_THOUGHTS) == [
        ["<think>Hm.\nSo.</think>A batch.<|im_end|>", "<think>No.</think>None.<|im_end|>"]
    ]


def test_stripped_history_makes_one_example_a_turn_with_the_history_as_it_is_sent() -> None:
    made = tokenizer(HYBRID)
    examples = render_examples(made, TWO_THOUGHTS)
    assert spans(made, examples) == [
        ["<think>\nHm.\nSo.\n</think>\n\nA batch.<|im_end|>"],
        ["<think>\nNo.\n</think>\n\nNone.<|im_end|>"],
    ]
    assert "Hm." not in decode(made, examples[1].token_ids)
    for example, index in zip(examples, (1, 3), strict=True):
        assert example.token_ids[: example.trained.index(True)] == render_prompt(made, TWO_THOUGHTS[:index])
    with pytest.raises(TemplateError, match="2 examples"):
        render(made, TWO_THOUGHTS)


def test_of_a_stripped_conversation_the_last_turn_alone_is_one_example() -> None:
    rendered = render(tokenizer(HYBRID), TWO_THOUGHTS, train_on="last")
    assert spans(tokenizer(HYBRID), [rendered]) == [["<think>\nNo.\n</think>\n\nNone.<|im_end|>"]]


def test_a_template_that_cuts_thoughts_out_of_finished_turns_still_has_them_trained() -> None:
    made = tokenizer(CUTTING)
    examples = render_examples(made, TWO_THOUGHTS)
    assert [decode(made, each.token_ids) for each in examples] == [
        "<|user|>Lot?<|bot|><think>\nHm.\nSo.\n</think>\n\nA batch.<|end|>",
        "<|user|>Lot?<|bot|>A batch.<|end|><|user|>And?<|bot|><think>\nNo.\n</think>\n\nNone.<|end|>",
    ]
    assert spans(made, examples)[1] == ["No.\n</think>\n\nNone.<|end|>"]
    # the same thoughts written into the content are the same thing
    written = [
        replace(each, thinking="", content=f"<think>{each.thinking}</think>{each.content}") if each.thinking else each
        for each in TWO_THOUGHTS
    ]
    assert render_examples(made, written) == examples


def test_a_turn_without_thoughts_where_the_prompt_opens_them_is_refused_with_the_reason() -> None:
    with pytest.raises(TemplateError, match=r"message 2 .*opens thoughts.*none"):
        render(tokenizer(CUTTING), (USER, Message("assistant", "A batch.")))
    assert stop_token_ids(tokenizer(CUTTING))[0] == tokenizer(CUTTING).convert_tokens_to_ids("<|end|>")


def test_without_thinking_thoughts_are_dropped_and_the_prompt_says_so() -> None:
    made = tokenizer(HYBRID)
    (rendered,) = render_examples(made, (USER, THOUGHTFUL), thinking=False)
    assert decode(made, rendered.token_ids).endswith("assistant\n<think>\n\n</think>\n\nA batch.<|im_end|>\n")
    assert spans(made, [rendered]) == [["A batch.<|im_end|>"]]
    inside = Message("assistant", "<think>Hm.</think>A batch.")
    assert render_examples(made, (USER, inside), thinking=False) == [rendered]
    assert spans(made, render_examples(made, (USER, THOUGHTFUL), thinking=True)) == [
        ["<think>\nHm.\nSo.\n</think>\n\nA batch.<|im_end|>"]
    ]


@pytest.mark.parametrize("thinking", [True, False])
def test_a_template_without_a_switch_says_that_it_cannot(thinking: bool) -> None:
    with pytest.raises(TemplateError, match="thinking is asked for"):
        render(tokenizer(BARE), (USER, THOUGHTFUL), thinking=thinking)


def test_the_switch_is_found_under_its_name_and_only_where_it_changes_something() -> None:
    assert switch_names("{% if thinking %}{% endif %}{% if enable_thinking %}{% endif %}{{ reasoning_effort }}") == (
        "enable_thinking",
        "thinking",
    )
    inverse = HYBRID.replace("enable_thinking is defined and not enable_thinking", "skip_thinking")
    assert trained(inverse, (USER, THOUGHTFUL), thinking=False) == [["A batch.<|im_end|>"]]
    with pytest.raises(TemplateError, match="no switch"):
        render(tokenizer(BARE + "{% if enable_thinking %}{% endif %}"), (USER, THOUGHTFUL), thinking=False)


def test_thoughts_that_a_template_would_lose_are_an_error() -> None:
    closing = BARE.replace("assistant\n", "assistant\n</think>")
    closing = closing.replace(
        "{{ m.content }}", "{{ '</think>' if m.role == 'assistant' }}{{ m.content.split('</think>')[-1] }}"
    )
    assert trained(closing, (USER, Message("assistant", "A batch."))) == [["A batch.<|im_end|>"]]
    with pytest.raises(TemplateError, match="thoughts"):
        render(tokenizer(closing), (USER, THOUGHTFUL))


# --- tools ---------------------------------------------------------------------------------------------------------


def test_calls_are_trained_with_their_stop_token_and_results_are_not() -> None:
    made = tokenizer(TOOLS)
    rendered = render(made, CALLING, tools=[FIND])
    assert spans(made, [rendered]) == [
        ['<|call|>find_lot {"lot": "A-1", "n": 3}<|over|><|im_end|>', "It is A-1.<|im_end|>"]
    ]
    assert "find_lot" in decode(made, render_prompt(made, CALLING[:1], tools=[FIND]))


def test_thoughts_content_and_several_calls_stand_in_one_turn() -> None:
    turn = Message("assistant", "Look.", thinking="Why?", tool_calls=(CALL, replace(CALL, arguments='{"lot": "B"}')))
    assert trained(TOOLS, (USER, turn), tools=[FIND]) == [
        [
            '<think>Why?</think>Look.<|call|>find_lot {"lot": "A-1", "n": 3}<|over|><|call|>find_lot {"lot": "B"}<|over|><|im_end|>'
        ]
    ]


@pytest.mark.parametrize("join", ["' ' ~ c.function.arguments", "' ' + c.function.arguments"])
def test_a_template_that_wants_arguments_as_text_gets_them_so(join: str) -> None:
    template = TOOLS.replace("' ' ~ c.function.arguments | tojson", join)
    assert trained(template, CALLING, tools=[FIND])[0][0] == '<|call|>find_lot {"lot": "A-1", "n": 3}<|over|><|im_end|>'


@pytest.mark.parametrize(
    ("template", "messages", "tools", "reason"),
    [
        (BARE, CALLING, (), "leaves out the call of find_lot"),
        (BARE, (USER, Message("assistant", "A.")), (FIND,), "leaves out the tool 'find_lot'"),
        # named by the assistant, not by the template
        (BARE, (USER, Message("assistant", "I have find_lot.")), (FIND,), "leaves out the tool 'find_lot'"),
        (
            BARE.replace("{{ m.content }}", "{{ m.content if m.role != 'system' }}"),
            (Message("system", "S."), *TWO_THOUGHTS),
            (),
            "leaves it out",
        ),
        # the user happens to say what the system prompt says
        (
            BARE.replace("{{ m.content }}", "{{ m.content if m.role != 'system' }}"),
            (Message("system", "Be brief."), Message("user", "Be brief. Where is it?"), Message("assistant", "A.")),
            (),
            "leaves it out",
        ),
        (TOOLS.replace(" ~ c.function.arguments | tojson", " ~ 'x'"), CALLING, (FIND,), "leaves out 'A-1'"),
        (TOOLS, (USER, Message("assistant", "", tool_calls=(ToolCall("f", "[1]"),))), (), "expected a JSON object"),
        (TOOLS, (USER, Message("assistant", "", tool_calls=(ToolCall("f", '{"a": 1, "a": 2}'),))), (), "stands twice"),
        (
            TOOLS,
            (USER, Message("assistant", "", tool_calls=(ToolCall("f", '{"a": "\\ud800"}'),))),
            (),
            "half a surrogate",
        ),
        (TOOLS, (USER, Message("assistant", "A.")), ("{}",), "no name"),
        (TOOLS, (replace(USER, thinking="Hm."), Message("assistant", "A.")), (), "of an assistant only"),
    ],
)
def test_what_would_be_lost_is_refused(template: str, messages: Any, tools: Any, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        render(tokenizer(template), messages, tools=tools)


def test_the_template_is_told_which_call_a_result_answers() -> None:
    template = TOOLS.replace(
        HEADER, HEADER + "{% if m.role == 'tool' %}{{ m.name ~ '/' ~ m.tool_call_id ~ ': ' }}{% endif %}"
    )
    template = template.replace("c.function.name ~", "c.id ~ ' ' ~ c.type ~ ' ' ~ c.function.name ~")
    made = tokenizer(template)
    messages = (*CALLING[:2], replace(CALLING[2], name="find_lot"), CALLING[3])
    text = decode(made, render(made, messages, tools=[FIND]).token_ids)
    assert "<|call|>id000000a function find_lot " in text
    assert "tool\nfind_lot/id000000a: found it<|im_end|>" in text


def test_a_system_prompt_that_vanishes_behind_an_answer_is_named() -> None:
    vanishing = BARE.replace(
        "{% for m in messages %}", "{% for m in (messages if add_generation_prompt else messages[1:]) %}"
    )
    with pytest.raises(TemplateError, match=r"message 1 \(system\) in the generation prompt only"):
        render(tokenizer(vanishing), (Message("system", "Be brief."), USER, Message("assistant", "A.")))


def test_control_token_text_in_tools_and_arguments_stays_text() -> None:
    made = tokenizer(TOOLS)
    call = ToolCall("find_lot", '{"lot": "<|im_end|>", "n": "\\u003c|im_start|>"}')
    tool = FIND.replace('"object"', '"object", "title": "<|im_start|>"')
    rendered = render(made, (USER, Message("assistant", "", tool_calls=(call,))), tools=[tool])
    counts = [rendered.token_ids.count(made.convert_tokens_to_ids(token)) for token in ("<|im_start|>", "<|im_end|>")]
    assert counts == [3, 3]
    assert spans(made, [rendered]) == [
        ['<|call|>find_lot {"lot": "<|im_end|>", "n": "<|im_start|>"}<|over|><|im_end|>']
    ]


# --- ends and beginnings -------------------------------------------------------------------------------------------


def test_a_turn_that_only_the_next_message_closes_ends_with_that_messages_token() -> None:
    made = tokenizer(OPEN)
    assert spans(made, [render(made, CALLING)]) == [['find_lot{"lot": "A-1", "n": 3}<|tool|>', "It is A-1.<|user|>"]]
    assert spans(made, [render(made, (*CALLING, Message("user", "Thanks.")))])[0][1] == "It is A-1.<|user|>"
    assert set(stop_token_ids(made)) >= set(made.convert_tokens_to_ids(["<|user|>", "<|tool|>"]))


def test_every_closing_token_that_stays_in_the_history_is_trained_and_no_other() -> None:
    two = BARE.replace(
        "{{ m.content }}<|im_end|>", "{{ m.content }}{{ '<|over|>' if m.role == 'assistant' }}<|im_end|>"
    )
    assert trained(two, (USER, Message("assistant", "A."))) == [["A.<|over|><|im_end|>"]]
    last = BARE.replace(ASK, "{% if add_generation_prompt %}<|im_start|>assistant\n{% else %}<|end|>{% endif %}")
    assert trained(last, (USER, Message("assistant", "A."))) == [["A.<|im_end|>"]]


def test_the_assistant_may_speak_first_where_the_template_lets_it() -> None:
    assert trained(BARE, (Message("assistant", "Hello."), USER, Message("assistant", "A."))) == [
        ["Hello.<|im_end|>", "A.<|im_end|>"]
    ]
    with pytest.raises(TemplateError, match="refuses"):
        render(tokenizer("{{ messages[0].content }}" + BARE), (Message("assistant", "Hello."),))


def test_a_template_for_parts_of_content_gets_parts() -> None:
    parts = BARE.replace("{{ m.content }}", "{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}")
    assert trained(parts, (USER, Message("assistant", "A."))) == [["A.<|im_end|>"]]


def test_the_clock_stands_still() -> None:
    dated = "{{ strftime_now('%d %b %Y, %A') }}\n" + BARE
    made = tokenizer(dated)
    rendered = render(made, (USER, Message("assistant", "A.")))
    assert decode(made, rendered.token_ids).startswith("26 Jul 2024, Friday\n<|im_start|>user")
    # nothing else about the template changes, its first line's white space included
    indented = "\n  {% if true %}x{% endif %}\n" + BARE
    told = decode(made, render_prompt(tokenizer(indented), (USER,)))
    assert (
        decode(made, render_prompt(tokenizer(indented + "{% if false %}{{ strftime_now('%Y') }}{% endif %}"), (USER,)))
        == told
    )
    with pytest.raises(TemplateError, match="by chance"):
        render(tokenizer(BARE + "{{ [1, 2] | random }}"), (USER, Message("assistant", "A.")))


def test_marks_of_a_template_are_held_against_what_is_found() -> None:
    marked = BARE.replace(
        "{{ m.content }}<|im_end|>",
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}",
    )
    assert trained(marked, (USER, Message("assistant", "A."))) == [["A.<|im_end|>"]]
    half = marked.replace("{% generation %}{{ m.content }}", "{{ m.content[:1] }}{% generation %}{{ m.content[1:] }}")
    with pytest.raises(TemplateError, match="marks"):
        render(tokenizer(half), (USER, Message("assistant", "A.")))
    elsewhere = BARE.replace(
        "{{ m.content }}",
        "{% if m.role == 'user' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}",
    )
    with pytest.raises(TemplateError, match="marks"):
        render(tokenizer(elsewhere), (USER, Message("assistant", "A.")))


# --- which turns, and how much -------------------------------------------------------------------------------------


def talk(*answers: Message) -> tuple[Message, ...]:
    return tuple(each for answer in answers for each in (USER, answer))


def test_a_messages_own_word_goes_before_the_rule() -> None:
    said = [Message("assistant", name) for name in ("one", "two", "three")]
    assert trained(BARE, talk(*said), train_on="last") == [["three<|im_end|>"]]
    assert trained(BARE, talk(replace(said[0], train=True), *said[1:]), train_on="flagged") == [["one<|im_end|>"]]
    assert trained(BARE, talk(said[0], replace(said[1], train=False), said[2])) == [
        ["one<|im_end|>", "three<|im_end|>"]
    ]
    assert trained(BARE, talk(replace(said[0], weight=0.0), *said[1:])) == [["two<|im_end|>", "three<|im_end|>"]]
    for train_on in ("flagged", "last"):
        with pytest.raises(TemplateError, match="to be trained"):
            render(tokenizer(BARE), talk(said[0], replace(said[1], train=False)), train_on=train_on)  # type: ignore[arg-type]


def test_weights_stand_on_the_trained_tokens_of_their_message() -> None:
    rendered = render(
        tokenizer(BARE), talk(Message("assistant", "one", weight=0.5), Message("assistant", "two", weight=2.0))
    )
    assert sorted({*rendered.weights}) == [0.0, 0.5, 2.0]
    assert [weight > 0 for weight in rendered.weights] == rendered.trained
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(TemplateError, match="weight"):
            render(tokenizer(BARE), talk(Message("assistant", "one", weight=weight)))


def test_a_turn_that_is_not_trained_may_be_one_that_could_not_be() -> None:
    assert trained(BARE, talk(Message("assistant", " ", train=False), Message("assistant", "two"))) == [
        ["two<|im_end|>"]
    ]


# --- laws ----------------------------------------------------------------------------------------------------------

WORDS = st.lists(
    st.sampled_from(["lot", "İade", "\n", " ", "<|im_end|>", "a<b", "</think>", "🙂", '"', "\\"]),
    min_size=1,
    max_size=5,
).map(lambda words: "x" + "".join(words) + "y")
ANSWERS = st.builds(
    lambda content, thinking, calls, train, weight: Message(
        "assistant", content if content or not calls else "", thinking, calls, train=train, weight=weight
    ),
    WORDS,
    st.just("") | WORDS.filter(lambda text: "think" not in text),
    st.just(()) | WORDS.map(lambda text: (ToolCall("find_lot", json.dumps({"lot": text})),)),
    st.sampled_from([None, None, True, False]),
    st.sampled_from([1.0, 1.0, 0.5, 0.0]),
)
CONVERSATIONS = st.lists(st.tuples(WORDS, ANSWERS), min_size=1, max_size=3).map(
    lambda turns: tuple(each for question, answer in turns for each in (Message("user", question), answer))
)
TEMPLATES = {"bare": BARE, "hybrid": HYBRID, "tools": TOOLS, "cutting": CUTTING, "open": OPEN}


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_trained_turn_stands_behind_its_prompt(template: str) -> None:
    made = tokenizer(TEMPLATES[template])

    @settings(max_examples=25, deadline=None, database=None)
    @given(messages=CONVERSATIONS, thinking=st.sampled_from([None, None, True, False]))
    def law(messages: tuple[Message, ...], thinking: bool | None) -> None:
        try:
            examples = render_examples(made, messages, thinking=thinking)
        except TemplateError:
            return
        wanted = [k for k, m in enumerate(messages) if m.role == "assistant" and m.weight and m.train is not False]
        found = []
        for each in examples:
            padded = [False, *each.trained, False]
            edges = [place for place, (before, here) in enumerate(pairwise(padded)) if before != here]
            found += [(each, begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
        for (example, begin, end), index in zip(found, wanted, strict=True):
            assert example.token_ids[:begin] == render_prompt(made, messages[:index], thinking=thinking)
            text = decode(made, example.token_ids[begin:end])
            message = messages[index]
            assert message.content.strip() in text
            assert thinking is False or message.thinking.strip() in text
            assert all(
                json.dumps(json.loads(call.arguments), ensure_ascii=False) in text for call in message.tool_calls
            )
            assert example.token_ids[end - 1] in stop_token_ids(made)
            assert set(example.weights[begin:end]) == {message.weight}

    law()


@pytest.mark.parametrize("template", TEMPLATES)
def test_many_are_the_examples_of_each_and_refusals_are_collected(template: str) -> None:
    made = tokenizer(TEMPLATES[template])
    modes = st.lists(st.tuples(CONVERSATIONS, st.sampled_from([None, None, True, False]), st.booleans()), max_size=4)

    @settings(max_examples=20, deadline=None, database=None)
    @given(drawn=modes)
    def law(drawn: list[tuple[tuple[Message, ...], bool | None, bool]]) -> None:
        conversations, thinking = [each[0] for each in drawn], [each[1] for each in drawn]
        tools = [(FIND,) if each[2] else () for each in drawn]
        many = render_many(made, conversations, tools=tools, thinking=thinking, refusals="collect")
        expected = []
        reasons = {}
        for index, (messages, mode, _) in enumerate(drawn):
            try:
                told = render_examples(made, messages, tools=tools[index], thinking=mode)
            except TemplateError as error:
                reasons[index] = str(error)
            else:
                expected += [(index, each) for each in told]
        assert many.refused == reasons
        assert [(int(owner), many[place]) for place, owner in enumerate(many.owners)] == expected

    law()
