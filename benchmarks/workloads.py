"""The benchmark's training sets as token ids and labels, the same for every side.

Pure functions of the texts in ``shared/data`` and of an encoder; the same files and tokenizer give the same examples. This
module does not train, time or know any trainer.

An example is a list of token ids and a list of labels of the same length; a label is the token's own id where it is
trained and -100 elsewhere, as Hugging Face trainers expect it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

IGNORED = -100
"""The label of a token that is not trained."""

SHARED_ARTICLES = 2
"""Articles of XQuAD Turkish in `shared`: 97 questions, each asked twice, are the 194 examples of issue 3."""
SHARED_REQUEST = "\n\nYukarıdaki metne dayanarak soruyu kısaca, metindeki sözlerle yanıtla."
"""Stands behind each question. It is what makes tokens / unique tokens 11, as in the set that issue 3 measured; without it
the ratio would be 14 and the workload kinder to prefix sharing."""
PAIRS_TO_A_CONTEXT = 10.7
CONTEXT_TOKENS, QUESTION_TOKENS, ANSWER_TOKENS = 577, 20, 60
"""The original system's shape, averages (issue 3)."""
ORIGINAL_CONTEXTS = 19
PLAIN_ROWS = 300
TURN_EXAMPLES = 180
ASKING_TOKENS, THINKING_TOKENS, REPLY_TOKENS = 45, 180, 110
"""Averages of the texts of reason_tool_use_demo_50 (194, 728 and 474 characters), as upper bounds of a piece."""
SPREAD = 0.3
"""A drawn length lies within this part of its average, on both sides."""

Encoder = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids, and for each its label."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True)
class Marks:
    """The ids of the special tokens of a Llama 3 chat."""

    begin: int
    start_header: int
    end_header: int
    end: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What a trainer has to compute, counted from the token ids alone."""

    examples: int
    tokens: int
    longest: int
    unique_tokens: int
    """Tokens that differ in themselves or in what stands before them, of those some trained token rests on."""
    supervised_tokens: int
    sources: int
    """Different unique tokens that predict at least one trained token."""
    attended_pairs: int
    """Query and key pairs of the unique tokens: the sum of (depth + 1)."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation in Llama 3's form, as token ids; each saying gives a new one."""

    encode: Encoder
    marks: Marks
    ids: tuple[int, ...] = ()

    def says(self, role: str, text: list[int]) -> Chat:
        """The conversation with one turn more."""
        return Chat(self.encode, self.marks, (*self._with_header(role), *text, self.marks.end))

    def example(self, answer: list[int]) -> Example:
        """The conversation and the assistant's answer with its end mark, trained on those."""
        prompt, trained = self._with_header("assistant"), [*answer, self.marks.end]
        return Example([*prompt, *trained], [IGNORED] * len(prompt) + trained)

    def _with_header(self, role: str) -> list[int]:
        before = self.ids or (self.marks.begin,)
        return [*before, self.marks.start_header, *self.encode(role), self.marks.end_header, *self.encode("\n\n")]


def write_workload(path: Path, examples: Sequence[Example]) -> None:
    """One JSON object a line: ``{"input_ids": [...], "labels": [...]}``."""
    lines = (json.dumps({"input_ids": one.input_ids, "labels": one.labels}) for one in examples)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def read_workload(path: Path) -> list[Example]:
    """What :func:`write_workload` wrote."""
    with path.open(encoding="utf-8") as lines:
        return [Example(**json.loads(line)) for line in lines]


def thin_out(examples: Sequence[Example], wanted: int) -> list[Example]:
    """About `wanted` examples as neighbours in runs of eight, evenly over the whole, so that sharing stays visible.

    >>> len(thin_out([Example([1], [1])] * 194, 64)), len(thin_out([Example([1], [1])] * 5, 64))
    (64, 5)
    """
    runs = [examples[start : start + 8] for start in range(0, len(examples), 8)]
    kept = max(1, -(-wanted // 8))
    chosen = runs if kept >= len(runs) else [runs[number * len(runs) // kept] for number in range(kept)]
    return [one for run in chosen for one in run][:wanted]


def count(examples: Sequence[Example]) -> Counts:
    """Tokens, unique tokens and sources, by sorting: an example is needed up to the token before its last trained one.

    >>> count([Example([1, 2, 3, 4], [-100, -100, -100, 4]), Example([1, 2, 5, 6], [-100, -100, -100, 6])])
    Counts(examples=2, tokens=8, longest=4, unique_tokens=4, supervised_tokens=2, sources=2, attended_pairs=9)
    """
    needed = sorted((one.input_ids[: _last_source(one) + 1], place) for place, one in enumerate(examples))
    unique = pairs = sources = supervised = 0
    previous: list[int] = []
    used: list[bool] = []  # of the tokens of `previous`: whether it is counted as a source already
    for ids, place in needed:
        shared = _common_prefix(previous, ids)
        unique += len(ids) - shared
        pairs += sum(range(shared + 1, len(ids) + 1))
        used = used[:shared] + [False] * (len(ids) - shared)
        for target, label in enumerate(examples[place].labels[1:], start=1):
            if label != IGNORED:
                supervised += 1
                sources += not used[target - 1]
                used[target - 1] = True
        previous = ids
    lengths = [len(one.input_ids) for one in examples]
    return Counts(len(examples), sum(lengths), max(lengths), unique, supervised, sources, pairs)


def shared_contexts(data: Path, encode: Encoder, marks: Marks) -> list[Example]:
    """XQuAD Turkish: every question over its paragraph and over its whole article."""
    examples = []
    for article in _xquad(data)[:SHARED_ARTICLES]:
        whole = "\n\n".join(paragraph["context"] for paragraph in article["paragraphs"])
        for text_of in (lambda paragraph: paragraph["context"], lambda _, whole=whole: whole):
            for paragraph in article["paragraphs"]:
                context = encode(text_of(paragraph) + "\n\n")
                for pair in paragraph["qas"]:
                    chat = Chat(encode, marks).says("user", context + encode(pair["question"] + SHARED_REQUEST))
                    examples.append(chat.example(encode(pair["answers"][0]["text"])))
    return examples


def original_shape(data: Path, encode: Encoder, marks: Marks) -> list[Example]:
    """Contexts with ten or eleven pairs each: text of XQuAD articles and Turkish pages, questions of XQuAD, answers from the context."""
    draw = random.Random("original")
    articles = [" ".join(paragraph["context"] for paragraph in article["paragraphs"]) for article in _xquad(data)]
    pages = [path.read_text(encoding="utf-8") for path in sorted((data / "docs_tr_d365projops").rglob("*.md"))]
    texts = articles[2:] + sorted(pages, key=len, reverse=True)
    long_enough = [ids for ids in map(encode, texts) if len(ids) >= CONTEXT_TOKENS * (1 + SPREAD)]
    questions = encode("\n".join(pair["question"] for pair in _pairs(_xquad(data))))
    examples = []
    for number, ids in enumerate(long_enough[:ORIGINAL_CONTEXTS]):
        context = [*ids[: _near(CONTEXT_TOKENS, draw)], *encode("\n\n")]
        for _ in range(round(PAIRS_TO_A_CONTEXT * (number + 1)) - round(PAIRS_TO_A_CONTEXT * number)):
            question = _cut_out(questions, _near(QUESTION_TOKENS, draw), draw)
            answer = _cut_out(context, _near(ANSWER_TOKENS, draw), draw)
            examples.append(Chat(encode, marks).says("user", context + question).example(answer))
    return examples


def plain_instructions(data: Path, encode: Encoder, marks: Marks) -> list[Example]:
    """The first rows of alpaca_en_demo, trained on the response only; nothing is shared but the first token."""
    examples = []
    for row in _alpaca(data)[:PLAIN_ROWS]:
        asked = "\n".join(part for part in (row["instruction"], row["input"]) if part)
        examples.append(Chat(encode, marks).says("user", encode(asked)).example(encode(row["output"])))
    return examples


def reasoning_turns(data: Path, encode: Encoder, marks: Marks, *, turns: int) -> list[Example]:
    """Conversations whose history drops earlier thoughts: each turn is an example of its own over the shared past.

    Example t holds all earlier questions and replies without their thoughts, question t, thought t and reply t, and is
    trained on the last two. Questions and replies are rows of alpaca_en_demo, thoughts those of reason_tool_use_demo_50.
    """
    draw = random.Random(f"turns{turns}")
    rows = [row for row in _alpaca(data) if len(row["output"]) > 200]
    thoughts = _thoughts(data)
    examples = []
    for conversation in range(TURN_EXAMPLES // turns):
        history = Chat(encode, marks)
        for turn in range(turns):
            row = rows[(conversation * turns + turn) % len(rows)]
            asked = encode(row["instruction"])[: _near(ASKING_TOKENS, draw)]
            reply = encode(row["output"])[: _near(REPLY_TOKENS, draw)]
            thought = encode(thoughts[draw.randrange(len(thoughts))])[: _near(THINKING_TOKENS, draw)]
            history = history.says("user", asked)
            examples.append(history.example([*thought, *encode("\n\n"), *reply]))
            history = history.says("assistant", reply)
    return examples


def build_workloads(data: Path, encode: Encoder, marks: Marks) -> dict[str, list[Example]]:
    """Every workload by name."""
    return {
        "shared": shared_contexts(data, encode, marks),
        "original": original_shape(data, encode, marks),
        "plain": plain_instructions(data, encode, marks),
        "turns6": reasoning_turns(data, encode, marks, turns=6),
        "turns10": reasoning_turns(data, encode, marks, turns=10),
    }


def tokenizer_texts(data: Path) -> list[str]:
    """The texts the benchmark's tokenizer is trained on, in one fixed order: documents, never those of a workload.

    (`original` takes the pages of its contexts from here; its questions are XQuAD's.)
    """
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(data.rglob("*.md"))]
    for name in ("tr_text_cppdocs/docs.jsonl", "tr_text_react/docs.jsonl"):
        with (data / name).open(encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    return texts


def _last_source(example: Example) -> int:
    """The place of the token that predicts the last trained one; -1 where nothing is trained."""
    return max((place for place, label in enumerate(example.labels) if label != IGNORED), default=0) - 1


def _common_prefix(one: list[int], other: list[int]) -> int:
    limit = min(len(one), len(other))
    return next((place for place in range(limit) if one[place] != other[place]), limit)


def _near(average: int, draw: random.Random) -> int:
    return draw.randint(round(average * (1 - SPREAD)), round(average * (1 + SPREAD)))


def _cut_out(ids: list[int], tokens: int, draw: random.Random) -> list[int]:
    start = draw.randrange(1, len(ids) - tokens)
    return ids[start : start + tokens]


def _xquad(data: Path, language: str = "tr") -> list[dict]:
    return json.loads((data / f"qa_xquad/xquad.{language}.json").read_text(encoding="utf-8"))["data"]


def _pairs(articles: list[dict]) -> list[dict]:
    return [pair for article in articles for paragraph in article["paragraphs"] for pair in paragraph["qas"]]


def _alpaca(data: Path) -> list[dict]:
    return json.loads((data / "instruct_llamafactory/alpaca_en_demo.json").read_text(encoding="utf-8"))


def _thoughts(data: Path) -> list[str]:
    with (data / "instruct_llamafactory/reason_tool_use_demo_50.jsonl").open(encoding="utf-8") as lines:
        messages = [message for line in lines for message in json.loads(line)["messages"]]
    return [part["value"] for message in messages for part in message["content"] if part["type"] == "reasoning"]
