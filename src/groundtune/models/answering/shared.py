"""Answers prompts with every shared prefix computed once, and answers entering and leaving as they come and go.

Prompts come in the order of a walk through their tree (:mod:`.tree`). A wave of them is one call of the model on tokens that
no prompt before had; what a wave shares with the one before it is copied. Then every call computes one token of every
answer in flight; an answer that ends makes room for the next prompts. No call has padding, and logits are made only where
a next token is asked for.

Legend: N tokens of a step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedModel

from groundtune.models.answering.answers import AnsweringWork, Limits
from groundtune.models.answering.attention import Step, answering, step_mask
from groundtune.models.answering.steps import AnswerStep, Piece, PromptStep
from groundtune.models.answering.store import SPARE_COLUMNS, Store, Trunk
from groundtune.models.answering.tree import ROW_QUESTIONS, Group, Prompt, group_prompts, walk

WAVE_TOKENS = 2048
"""Prompt tokens computed in one call, unless a single group has more."""

ROOM_SHARE = 4
"""Prompts come in when a quarter of the places is free: one call for several of them."""

Interval = tuple[int, int]


@dataclass(slots=True)
class Question:
    """A prompt whose answer is being computed."""

    prompt: Prompt
    row: int
    slot: int
    answer: list[int] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Of the last token of the answer."""
        return len(self.prompt) + len(self.answer) - 1


class SharedAnswering:
    """The answers to different prompts, in the order in which they end: :meth:`run`."""

    def __init__(
        self,
        model: PreTrainedModel,
        limits: Limits,
        stop_ids: frozenset[int],
        work: AnsweringWork,
        column_bytes: int = 0,
    ) -> None:
        self._model = model
        self._limits = limits
        self._stop_ids = stop_ids
        self._work = work
        self._column_bytes = column_bytes
        self._row_questions = min(ROW_QUESTIONS, limits.questions)
        self.store = Store(self._row_questions, model.device)
        self._trunk = Trunk()
        self._live: list[Question] = []
        self._needed: list[int] = []
        """Columns that each live row may come to."""

    def run(self, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, list[int], bool]]:
        """Each prompt with its answer's tokens, and whether it stopped; prompts are all different and none is empty."""
        waiting = deque(group_prompts(walk(prompts), self._row_questions))
        while waiting or self._live:
            wave = self._next_wave(waiting)
            if wave:
                following = waiting[0].shared[0] if waiting else 0
                asked, logits_NV = self._compute_prompts(wave, following)
            else:
                asked, logits_NV = self._live, self._compute_tokens()
            ended = []
            for question, token in zip(asked, self._choose(asked, logits_NV), strict=True):
                stopped = token in self._stop_ids
                if not stopped:
                    question.answer.append(token)
                if stopped or len(question.answer) == self._limits.new_tokens:
                    ended.append(question)
                    yield question.prompt, question.answer, stopped
            if ended:
                self._remove(ended)

    def _choose(self, asked: Sequence[Question], logits_NV: torch.Tensor) -> list[int]:  # noqa: ARG002 (the trial's)
        """The next token of each of these questions."""
        likeliest: list[int] = logits_NV.argmax(dim=-1).tolist()
        return likeliest

    def _next_wave(self, waiting: deque[Group]) -> list[Group]:
        """The groups that come in now, taken from `waiting`."""
        free = self._limits.questions - len(self._live)
        if not waiting or (self._live and free < max(self._limits.questions // ROOM_SHARE, len(waiting[0].prompts))):
            return []
        wave: list[Group] = []
        needed = max(self._needed, default=0)
        rows, tokens = len(self._needed), 0
        while waiting and len(waiting[0].prompts) <= free:
            group = waiting[0]
            needed = max(needed, self._most_columns(group))
            tokens += group.columns - (group.shared[0] if wave else 0)
            if (not self._fits(rows + 1, needed) and (self._live or wave)) or (wave and tokens > WAVE_TOKENS):
                break
            wave.append(waiting.popleft())
            free -= len(group.prompts)
            rows += 1
        return wave

    def _fits(self, rows: int, columns: int) -> bool:
        return rows * (columns + SPARE_COLUMNS) * self._column_bytes <= self._limits.cache_bytes

    def _most_columns(self, group: Group) -> int:
        return group.columns + len(group.prompts) * self._limits.new_tokens + self._row_questions

    @torch.inference_mode()
    def _compute_prompts(self, wave: list[Group], following: int) -> tuple[list[Question], torch.Tensor]:
        """Fill rows with the prompts of a wave. Returns its questions and the logits behind them.

        Args:
            following: how many tokens the next prompt after the wave shares with its last one.
        """
        store = self.store
        first = len(store.used)
        store.make_room(first + len(wave), max([*store.used, *(group.columns for group in wave)]))
        filling = _Filling(store.columns, len(self._trunk.tokens))
        questions: list[Question] = []
        for row, group in enumerate(wave, first):
            questions += filling.add(row, group)
            store.used.append(group.columns)
            self._needed.append(self._most_columns(group))
        device = self._model.device
        for row, copied in enumerate(filling.copied, first):
            self._trunk.put(row, copied)
        for row, seen in enumerate(filling.seen, first):
            store.seen[row] = False
            store.seen[row, : len(seen), : seen.shape[1]] = torch.from_numpy(seen).to(device)
        for row, positions in enumerate(filling.positions, first):
            store.positions[row, : len(positions)] = torch.tensor(positions, device=device)
        positions_N = torch.tensor(filling.depths, device=device)
        step = PromptStep(store, filling.pieces, positions_N, filling.sources, filling.places)
        logits_NV = call_step(self._model, step, filling.tokens, positions_N, filling.ends)
        if following:
            last = questions[-1]
            columns = [column for start, stop in _cut(filling.path, following) for column in range(start, stop)]
            self._trunk.take(store, last.row, columns, last.prompt[:following])
        else:
            self._trunk = Trunk()
        self._live += questions
        self._work.prompt_passes += 1
        self._work.computed_prompt_tokens += len(filling.tokens)
        return questions, logits_NV

    @torch.inference_mode()
    def _compute_tokens(self) -> torch.Tensor:
        """The logits behind every answer in flight."""
        store, device = self.store, self._model.device
        rows = [question.row for question in self._live]
        longest = max(store.used) + self._row_questions
        # rows that are free now will be wanted again, but not at the price of more memory
        store.make_room(store.rows if self._fits(store.rows, longest) else len(store.used), longest)
        columns = []
        for row in rows:
            columns.append(store.used[row])
            store.used[row] += 1
        slots = [question.slot for question in self._live]
        positions_N = torch.tensor([question.position for question in self._live], device=device)
        index = tuple(torch.tensor(each, device=device) for each in (rows, slots, columns))
        store.seen[index] = True
        store.positions[index[0], index[2]] = positions_N
        places = [row * store.columns + column for row, column in zip(rows, columns, strict=True)]
        step = AnswerStep(store, rows, slots, positions_N, places)
        self._work.decode_steps += 1
        return call_step(self._model, step, [question.answer[-1] for question in self._live], positions_N, None)

    @torch.inference_mode()
    def _remove(self, ended: list[Question]) -> None:
        gone = {id(question) for question in ended}
        self._live = [question for question in self._live if id(question) not in gone]
        kept = {question.row for question in self._live}
        # from the last row on: the row that moves into a gap is then always one that goes on
        for row in range(len(self._needed) - 1, -1, -1):
            if row in kept:
                continue
            moved = self.store.close(row)
            self._needed[row] = self._needed[moved]
            self._needed.pop()
            for question in self._live:
                if question.row == moved:
                    question.row = row


def call_step(
    model: PreTrainedModel, step: Step, tokens: list[int], positions_N: torch.Tensor, ends: list[int] | None
) -> torch.Tensor:
    """Logits [ends, V] behind the tokens at `ends`, or behind all of them."""
    device = positions_N.device
    with answering(model, step):
        outputs = model(
            input_ids=torch.tensor([tokens], device=device),
            position_ids=positions_N[None],
            attention_mask=step_mask(len(tokens), device),
            use_cache=False,
            logits_to_keep=0 if ends is None else torch.tensor(ends, device=device),
        )
    logits: torch.Tensor = outputs.logits[0]
    return logits


def _cut(path: Sequence[Interval], tokens: int) -> list[Interval]:
    """The first tokens of a path.

    >>> _cut([(0, 4), (9, 12)], 5)
    [(0, 4), (9, 10)]
    """
    left, kept = tokens, []
    for start, stop in path:
        if left <= 0:
            break
        kept.append((start, min(stop, start + left)))
        left -= stop - start
    return kept


class _Filling:
    """What a wave's call needs, gathered prompt by prompt in the order of the walk."""

    def __init__(self, row_columns: int, trunk: int) -> None:
        self._row_columns = row_columns
        self._origins = list(range(-trunk, 0))
        """For each token of the last prompt its place in this call; below 0 for those of the trunk."""
        self.path: list[Interval] = []
        """Columns of the last prompt in its row."""
        self.tokens: list[int] = []
        self.depths: list[int] = []
        self.ends: list[int] = []
        """Place of each prompt's last token."""
        self.sources: list[int] = []
        self.places: list[int] = []
        self.copied: list[int] = []
        """For each row how many tokens it takes from the trunk."""
        self.seen: list[np.ndarray] = []
        """For each row, [prompts, columns]."""
        self.positions: list[list[int]] = []
        """For each row, of its columns."""
        self.pieces: list[Piece] = []

    def add(self, row: int, group: Group) -> list[Question]:
        start = len(self.tokens)
        positions: list[int] = []
        owned: list[tuple[list[Interval], Interval]] = []
        seen_SC = np.zeros((len(group.prompts), group.columns), dtype=bool)
        for slot, (prompt, shared) in enumerate(zip(group.prompts, group.shared, strict=True)):
            new = range(len(self.tokens), len(self.tokens) + len(prompt) - shared)
            self._origins[shared:] = new
            self.tokens += prompt[shared:]
            self.depths += range(shared, len(prompt))
            self.ends.append(len(self.tokens) - 1)
            # the first prompt of a row brings the tokens it shares along
            held = shared if slot else 0
            ancestors = _cut(self.path, held) if slot else ([(0, shared)] if shared else [])
            own = (len(positions) + (0 if slot else shared), len(positions) + len(prompt) - held)
            for column, depth in enumerate(range(held, len(prompt)), len(positions)):
                if self._origins[depth] >= 0:
                    self.sources.append(self._origins[depth])
                    self.places.append(row * self._row_columns + column)
            if not slot:
                self.copied.append(sum(origin < 0 for origin in self._origins))
            positions += range(held, len(prompt))
            self.path = [*ancestors, own]
            owned.append((ancestors, own))
            for first, stop in self.path:
                seen_SC[slot, first:stop] = True
        self.seen.append(seen_SC)
        self.positions.append(positions)
        self.pieces.append(Piece(row, start, len(self.tokens), group.columns, _who_sees(owned, group.columns)))
        return [Question(prompt, row, slot) for slot, prompt in enumerate(group.prompts)]


def _who_sees(owned: list[tuple[list[Interval], Interval]], columns: int) -> np.ndarray | None:
    """bool [new tokens, columns] of a row; None where it is one prompt from its first token on."""
    if len(owned) == 1 and not owned[0][0]:
        return None
    before = owned[0][1][0]
    seen = np.zeros((columns - before, columns), dtype=bool)
    for ancestors, (start, stop) in owned:
        rows = slice(start - before, stop - before)
        for first, last in ancestors:
            seen[rows, first:last] = True
        seen[rows, start:stop] = np.tri(stop - start, dtype=bool)
    return seen
