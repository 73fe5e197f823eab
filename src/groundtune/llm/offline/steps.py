"""Numbered procedures: "How is X done?" with the steps as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.language import lower_case
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.structure import ItemList, plain
from groundtune.llm.offline.topics import Topic, is_generic
from groundtune.llm.offline.turkish import capitalise, sentence_case
from groundtune.types import Difficulty, QuestionType

_MAX_STEPS_WORDS = 95
_PASSIVE = {
    "oluşturma": "oluşturulur", "açma": "açılır", "girme": "girilir", "değiştirme": "değiştirilir", "bölme": "bölünür",
    "ekleme": "eklenir", "silme": "silinir", "yapma": "yapılır", "tanımlama": "tanımlanır", "kaydetme": "kaydedilir",
    "güncelleme": "güncellenir", "kullanma": "kullanılır", "verme": "verilir", "alma": "alınır", "hesaplama": "hesaplanır",
    "planlama": "planlanır", "onaylama": "onaylanır", "gönderme": "gönderilir", "seçme": "seçilir", "düzeltme": "düzeltilir",
    "kapatma": "kapatılır", "yükleme": "yüklenir", "hazırlama": "hazırlanır", "düzenleme": "düzenlenir", "kesme": "kesilir",
    "başlatma": "başlatılır", "bildirme": "bildirilir", "kopyalama": "kopyalanır", "yayımlama": "yayımlanır", "ayarlama": "ayarlanır",
    "yapılandırma": "yapılandırılır", "kurma": "kurulur", "yönetme": "yönetilir", "görüntüleme": "görüntülenir", "taşıma": "taşınır",
    "oluşturun": "oluşturulur", "atama": "atanır", "kaldırma": "kaldırılır", "yazdırma": "yazdırılır", "isteme": "istenir",
    "oluşturmak": "oluşturulur", "sayma": "sayılır", "çalıştırma": "çalıştırılır", "etme": "edilir", "serbest bırakma": "serbest bırakılır",
}  # fmt: skip
_EN_GERUND = re.compile(r"^(\w+ing) (.+)$")
IMPERATIVE = re.compile(
    r"^(create|add|edit|delete|set|define|open|enter|change|use|run|update|import|export|assign|configure|install|upload|view|post|register|adjust|plan|print|scan|send|receive|ship|split|move|search|filter|transfer|allocate|build|complete|cancel|generate|select|enable|disable)\b (.+)$",
    re.IGNORECASE,
)


def step_questions(block: ItemList, topic: Topic, number: int) -> Iterator[Draft]:
    """The whole procedure, and one of its steps."""
    items = [plain(item) for item in block.items]
    if len(items) < 2 or not topic.name or any("```" in item for item in block.items):
        return
    if not _are_instructions(items, topic.language):
        return
    question = _how_turkish(topic) if topic.language == "tr" else _how_english(topic)
    if question is None:
        return
    answer = "\n".join(f"{place}. {item}" for place, item in enumerate(items, start=1))
    if len(answer.split()) <= _MAX_STEPS_WORDS:
        yield Draft(
            question,
            answer,
            QuestionType.PROCEDURAL,
            Difficulty.MEDIUM,
            (Quote(number, block.text),),
            topic.name,
            "steps",
            95,
        )
    name = _procedure_turkish(topic) if topic.language == "tr" else _procedure_english(topic)
    if name and len(items) >= 3:
        place = 2 + len(topic.name) % (len(items) - 1)
        if 3 <= len(items[place - 1].split()) <= 30:
            yield _one_step(block, topic, number, name, place, items)


def _are_instructions(items: list[str], language: str) -> bool:
    """Whether most items tell the reader to do something."""
    if language == "tr":
        told = sum(
            any(
                re.search(r"[ıiuü]n(?:[ıiuü]z)?$", lower_case(word, "tr"))
                for word in re.findall(r"\w+(?=[.;,]|$)", item)
            )
            for item in items
        )
    else:
        told = sum(
            re.match(r"(?:A|An|The|It|There|This|Each|All|No)\b", item) is None and not item.endswith(":")
            for item in items
        )
    return told * 2 > len(items)


def _one_step(block: ItemList, topic: Topic, number: int, name: str, place: int, items: list[str]) -> Draft:
    if topic.language == "tr":
        question = f"{capitalise(name).format(place)} ne yapılır?"
    else:
        question = f"What is done in step {place} of {name}?"
    item = items[place - 1]
    answer = item if item.endswith(".") else item + "."
    quote = Quote(number, block.items[place - 1])
    return Draft(question, answer, QuestionType.PROCEDURAL, Difficulty.EASY, (quote,), topic.name, "one step", 58)


def _how_turkish(topic: Topic) -> str | None:
    name = topic.name
    if "adımlar" in lower_case(topic.heading, "tr") and not is_generic(topic.heading, "tr"):
        return f"{capitalise(sentence_case(topic.heading))} nelerdir?"
    words = name.split()
    last = lower_case(words[-1], "tr")
    if re.search(r"[dt][ae]n?$|ken$|için$", last):
        return None
    if re.search(r"(?:[ae]r|[ıiuü]r)sa$|[ıiuü]nca$|[ıiuü]nce$|[dt][ıiuü]ğ[ıiuü]nd[ae]$", last):
        return f"{capitalise(name)} sırasıyla ne yapılır?"
    if last in _PASSIVE and len(words) > 1 and "ve" not in words and not _is_accusative(words[:-1]):
        thing = " ".join(words[:-1])
        if last == "etme":
            return (
                f"{capitalise(' '.join(words[:-2]))} nasıl {words[-2]} edilir?"
                if len(words) > 2 and not _is_accusative(words[:-2])
                else f"{capitalise(name)} işlemi nasıl yapılır?"
            )
        return f"{capitalise(thing)} nasıl {_PASSIVE[last]}?"
    if re.search(r"(?:ma|me|mak|mek)$", last):
        return f"{capitalise(re.sub('k$', '', name))} işlemi nasıl yapılır?"
    return f"{capitalise(name)} için hangi adımlar izlenir?"


def _is_accusative(words: list[str]) -> bool:
    """Whether the object in front of a verbal noun is surely or maybe definite: "lotu bölme", not "mal kabul kaydı açma"."""
    last = lower_case(words[-1], "tr").strip("\"'")
    if re.search(r"[yn][ıiuü]$|lar[ıi]$|leri$|'[ıiuü]$", last):
        return True
    return (len(words) == 1 or words[-2] == "bir") and re.search(r"[ıiuü]$", last) is not None


def _procedure_turkish(topic: Topic) -> str | None:
    name = topic.name
    last = lower_case(name.split()[-1], "tr")
    if last.endswith(("sa", "se", "nca", "nce", "nda", "nde")) or "(" in name:
        return None
    if re.search(r"(?:ma|me|mak|mek)$", last):
        return f"{re.sub('k$', '', name)} işleminin {{}}. adımında"
    return f"{name} için izlenen {{}}. adımda"


def _how_english(topic: Topic) -> str | None:
    name = topic.name
    lowered = name.lower()
    if lowered.startswith("to "):
        return f"How do you {name[3:]}?"
    if match := _EN_GERUND.match(name):
        return f"What are the steps for {match[1].lower()} {match[2]}?"
    if lowered.startswith(("when ", "if ")):
        return f"What happens step by step {name}?"
    if lowered.startswith("how to "):
        return f"How do you {name[7:]}?"
    if match := IMPERATIVE.match(name):
        return f"How do you {match[1].lower()} {match[2]}?"
    if lowered.startswith(("what ", "why ", "who ", "where ")) or "?" in name:
        return None
    return f"Which steps does the {name} procedure have?" if len(name.split()) <= 4 else None


def _procedure_english(topic: Topic) -> str | None:
    name = topic.name
    if (
        name.lower().startswith(("when ", "if ", "how ", "what ", "why ", "to "))
        or "?" in name
        or len(name.split()) > 6
    ):
        return None
    return name if _EN_GERUND.match(name) else f"the {name} procedure" if not IMPERATIVE.match(name) else None
