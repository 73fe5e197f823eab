"""Whatever JSON a server sends, reading it ends in a reply or in one of the two errors that are mapped."""

import contextlib
import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from groundtune.llm.providers.anthropic_answers import read_message
from groundtune.llm.providers.mapping import CutOffError, ProtocolError, read_late_problem, read_problem
from groundtune.llm.providers.openai_answers import read_completion
from groundtune.llm.providers.reply import Reply, response_of

MESSAGE = {
    "type": "message",
    "model": "m",
    "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "input": {"pairs": []}}],
    "stop_reason": "tool_use",
    "stop_details": {"explanation": "b"},
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
COMPLETION = {
    "model": "m",
    "choices": [{"index": 0, "message": {"content": "a", "refusal": None}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
}
ERROR = {"type": "error", "error": {"type": "api_error", "message": "m", "details": {"error_code": "c"}, "param": "p"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=2) | st.dictionaries(st.text(max_size=5), parts, max_size=2),
    max_leaves=4,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, part in parts for place in places(part, (*at, name)))]


def with_change(whole: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    changed = copy.deepcopy(whole)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = new
    return changed


def check(reply: Reply) -> None:
    response = response_of(reply, "asked")
    assert isinstance(response.text, str)
    assert isinstance(response.model, str)
    assert response.stop_reason in ("end", "max_tokens", "refusal")
    assert (
        min(response.input_tokens, response.output_tokens, response.cache_read_tokens, response.cache_write_tokens) >= 0
    )


@given(st.sampled_from(places(MESSAGE)), JSON)
def test_any_message_is_read_or_refused(place: tuple[Any, ...], new: Any) -> None:
    with contextlib.suppress(ProtocolError, CutOffError):
        check(read_message(with_change(MESSAGE, place, new)))


@given(st.sampled_from(places(COMPLETION)), JSON)
def test_any_completion_is_read_or_refused(place: tuple[Any, ...], new: Any) -> None:
    with contextlib.suppress(ProtocolError, CutOffError):
        check(read_completion(with_change(COMPLETION, place, new)))


@given(st.sampled_from(places(ERROR)), JSON, st.sampled_from([200, 400, 401, 403, 404, 429, 500, 529]))
def test_any_error_has_a_remedy(place: tuple[Any, ...], new: Any, status: int) -> None:
    body = with_change(ERROR, place, new)
    assert read_problem(body, status).remedy in ("account", "request", "later")
    assert read_late_problem(body).status >= 400
