"""Conversations made from the documents' own sentences, on which a model from scratch practises answering from a context.

A drill shows one or two passages as in fine-tuning and asks several times in a row: a cue (the first words of a sentence and
some of its others) is the question, the sentence the answer; a cue from a passage that is not shown is answered with the
refusal. So finding and copying are practised before fine-tuning, on as many examples as wanted, without a writer. What this
module does not do: make training pairs (a cue is no question) or render.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from groundtune.chat import grounded_messages
from groundtune.config import PromptConfig
from groundtune.types import Chunk, Language, Message

SENTENCE_WORDS = (5, 30)
"""Shorter sentences say too little to be found, longer ones take too long to copy."""
TURNS = 8
"""Cues in one conversation: the passages are read once for all of them."""
SECOND_PASSAGE_SHARE = 0.4
REFUSED_SHARE = 0.04
KEPT_FIRST_WORDS = (1, 2, 2, 3)
KEPT_WORD_SHARE = 0.5
"""Of the words after the first ones."""
MOST_CUE_WORDS = 14

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
NOT_PROSE = ("#", "|", "```", "~~~", "<", "    ")


def make_drills(
    chunks: Sequence[Chunk], prompts: Mapping[Language, PromptConfig], *, count: int, seed: int
) -> list[tuple[Message, ...]]:
    """`count` conversations, languages in proportion to their chunks; fewer, down to none, where there is too little prose."""
    sentences = {chunk.chunk_id: split_sentences(chunk.text) for chunk in chunks}
    usable = [chunk for chunk in chunks if len(sentences[chunk.chunk_id]) >= 2 and chunk.language in prompts]
    by_language: dict[Language, list[Chunk]] = {}
    for chunk in usable:
        by_language.setdefault(chunk.language, []).append(chunk)
    chance = random.Random(f"drills-{seed}")
    drills = []
    for _ in range(count if usable else 0):
        first = chance.choice(usable)
        drills.append(_drill(first, by_language[first.language], sentences, prompts[first.language], chance))
    return drills


def _drill(
    first: Chunk,
    neighbours: Sequence[Chunk],
    sentences: Mapping[str, list[str]],
    prompt: PromptConfig,
    chance: random.Random,
) -> tuple[Message, ...]:
    shown = [first]
    if chance.random() < SECOND_PASSAGE_SHARE and (second := chance.choice(neighbours)) is not first:
        shown.append(second)
        chance.shuffle(shown)
    known = [sentence for chunk in shown for sentence in sentences[chunk.chunk_id]]
    messages: list[Message] = []
    for _ in range(TURNS):
        sentence, answer = chance.choice(known), ""
        if chance.random() < REFUSED_SHARE:
            elsewhere = chance.choice(sentences[chance.choice(neighbours).chunk_id])
            # a sentence that stands in both passages is known after all
            sentence, answer = (elsewhere, prompt.refusal) if elsewhere not in known else (sentence, "")
        question, answer = make_cue(sentence, chance), answer or sentence
        if messages:
            messages += [Message("user", f"{prompt.question_label}:\n{question}"), Message("assistant", answer)]
        else:
            messages += grounded_messages(prompt, shown, question, answer)
    return tuple(messages)


def split_sentences(text: str) -> list[str]:
    """Sentences of the prose in a passage, as they stand; headings, tables and code are passed over.

    >>> split_sentences("# Lot\\n\\nLot bir koddur ve etikette yazar. Kısa.\\n\\n| a | b |\\n|---|---|")
    ['Lot bir koddur ve etikette yazar.']
    """
    found = []
    in_code = False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            in_code = not in_code
        elif not in_code and not line.startswith(NOT_PROSE):
            found += SENTENCE_END.split(line.strip())
    low, high = SENTENCE_WORDS
    return [sentence for sentence in found if low <= len(sentence.split()) <= high]


def make_cue(sentence: str, chance: random.Random) -> str:
    """The first one to three words and about half of the others, as a question."""
    words = sentence.rstrip(".!?").split()
    first = chance.choice(KEPT_FIRST_WORDS)
    kept = words[:first] + [word for word in words[first:] if chance.random() < KEPT_WORD_SHARE]
    return " ".join(kept[:MOST_CUE_WORDS]) + "?"
