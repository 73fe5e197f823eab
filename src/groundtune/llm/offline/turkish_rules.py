"""Turkish sentences that state a rule: what is needed, whether something may be done, how something is found.

"Blokeli lot rezerve edilemez." -> "Blokeli lot rezerve edilebilir mi?"; "Devralma için X onayı gerekir." -> "Devralma için
ne gerekir?". The verb is turned around only where its ending leaves no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.language import lower_case
from groundtune.llm.offline.anchors import is_anchored
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.structure import plain
from groundtune.llm.offline.topics import Topic, resolve_subject
from groundtune.llm.offline.turkish import capitalise, first_clause, fourfold, is_finite, question_particle
from groundtune.types import Difficulty, QuestionType

_MAX_QUESTION_WORDS = 15
_NEEDS = re.compile(
    r"^(.{3,70}? (?:için|\w+rken)),? (.{4,90}) (gerekir|gereklidir|zorunludur|şarttır|istenir|yeterlidir|aranır)$"
)
_HOW = re.compile(
    r"^([^,;:()]{3,50}), [^,]*\b\w+(?:yla|yle|[^l]arak|[^l]erek|göre|üzerinden) [^,]*?((?:iptal |tahmin |takip |teslim )?"
    r"(?:hesaplanır|bulunur|oluşur|açılır|yapılır|belirlenir|kapatılır|seçilir|girilir|doğrulanır|gönderilir|değerlenir|okunur|çalışır|izlenir|"
    r"ölçülür|onaylanır|edilir|kapanır|üretilir|taşınır|kaydedilir|denetlenir|düzeltilir|oluşturulur|saklanır|yönlendirilir|sıralanır))$"
)
_PASSIVE_NEGATIVE = re.compile(r"^(.*(?:[ıiuü]l|[ıiuü]n|[ae]n))m[ae]z$")
_TABLE_LIST = re.compile(r"^(.*?`\w+`.*?) tablos(?:unda(dır)?|undan)(?: (\w+))?$")
_TABLE_PART = re.compile(r"(?:^|, (?:ve )?| ve )([^,`]{3,40}?) `(\w+_\w+)`")
_OBJECT_ENDINGS = re.compile(r"(?:[dt][ae]n?|[dt][ae]ki|için|göre|ile|ise|sonra|önce|kadar|ken)$")


def rule_questions(sentence: str, topic: Topic, number: int) -> Iterator[Draft]:
    """Drafts for a sentence of passage `number`: at most one of each kind."""
    if "](" in sentence:
        return
    clause = plain(first_clause(resolve_subject(sentence.rstrip("."), topic)))
    if not 3 <= len(clause.split()) <= 24 or not is_anchored(clause, topic) or clause.count("(") != clause.count(")"):
        return
    answer = plain(sentence)
    quotes = (Quote(number, sentence),)
    subject = " ".join(clause.split()[:2])
    if match := _NEEDS.match(clause):
        if not is_finite(match[2].split()[-1]) and not _OBJECT_ENDINGS.search(match[2]):
            question = f"{match[1]} ne {match[3]}?"
            yield Draft(question, answer, QuestionType.INFERENTIAL, Difficulty.MEDIUM, quotes, subject, "need", 83)
    elif match := _HOW.match(clause):
        if _is_plain_subject(match[1]):
            question = f"{match[1]} nasıl {match[2]}?"
            yield Draft(question, answer, QuestionType.PROCEDURAL, Difficulty.MEDIUM, quotes, match[1], "how", 80)
    else:
        asked = _may(clause)
        if asked is not None and clause == plain(sentence).rstrip("."):
            question, yes = asked
            said = f"{'Evet' if yes else 'Hayır'}. {answer}"
            yield Draft(question, said, QuestionType.INFERENTIAL, Difficulty.MEDIUM, quotes, subject, "may", 74)
    yield from _tables(sentence, topic, number)


def _is_plain_subject(subject: str) -> bool:
    words = subject.split()
    return (
        len(words) <= 4
        and not re.search(r"\b(?:yalnız|yalnızca|ayrı)\b|_", subject)
        and not _OBJECT_ENDINGS.search(lower_case(words[-1], "tr"))
        and "'" not in words[-1]
    )


def _may(clause: str) -> tuple[str, bool] | None:
    """A yes-or-no question, and whether the answer is yes."""
    words = clause.split()
    last = words[-1]
    if (
        len(words) > _MAX_QUESTION_WORDS
        or not last.isalpha()
        or ":" in clause
        or any(is_finite(word) for word in words[:-1])
    ):
        return None
    if re.search(r"\b(?:yalnız|yalnızca|sadece|ancak|hiçbir|en az|en çok|en fazla|kimse)\b", lower_case(clause, "tr")):
        return None
    before = " ".join(words[:-1])
    if match := re.fullmatch(r"(\w*(?:[ıiuü]l|[ıiuü]n|y|geç|çık|düş|yap|git|at|aç|gör|tut|bul))(amaz|emez)", last):
        able = match[1] + match[2].replace("maz", "bilir").replace("mez", "bilir")
        return f"{before} {able} mi?", False
    if re.fullmatch(r"\w+(?:abilir|ebilir)", last):
        return f"{before} {last} mi?", True
    if last == "zorunludur":
        return f"{before} zorunlu mudur?", True
    if match := _PASSIVE_NEGATIVE.match(last):
        verb = f"{match[1]}{fourfold(match[1])}r"
        return f"{before} {verb} {question_particle(verb)}?", False
    return None


def _tables(sentence: str, topic: Topic, number: int) -> Iterator[Draft]:
    """ "Lotlar `stk_lots`, makaralar `stk_drums` tablosundadır": one question for each."""
    clause = first_clause(sentence.rstrip("."))
    match = _TABLE_LIST.match(clause)
    if match is None or "](" in sentence or len(plain(sentence).split()) > 40:
        return
    parts = _TABLE_PART.findall(match[1])
    if len(parts) < 2 or len(parts) != match[1].count("`") // 2:
        return
    where = "tabloda" if "tablosunda" in clause and "tablosundan" not in clause else "tablodan"
    for name, table in parts:
        if (not is_anchored(name, topic) and len(name.split()) > 4) or is_finite(name.split()[-1]):
            continue
        ending = f"hangi {where}dır?" if match[2] else f"hangi {where} {match[3] or 'tutulur'}?"
        said = f"{capitalise(name)} `{table}` {'tablosundadır' if match[2] else f'tablosun{where[5:]} {match[3]}' if match[3] else 'tablosundadır'}."
        yield Draft(
            f"{capitalise(name)} {ending}",
            said,
            QuestionType.FACTUAL,
            Difficulty.EASY,
            (Quote(number, sentence),),
            name,
            "name",
            87,
        )
