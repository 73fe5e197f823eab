"""Sentences that say what something is or is for: "X, ... koddur." and "X is a ..."."""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.language import lower_case
from groundtune.llm.offline.anchors import leans
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.structure import plain
from groundtune.llm.offline.topics import Topic, first_small, resolve_subject
from groundtune.types import Difficulty, QuestionType

_TR_SUBJECT = re.compile(r"^([^,;:()]{2,60}?)(?: \([^)]{1,40}\))?, (.+)\.$", re.DOTALL)
_TR_NOUN_PREDICATE = re.compile(r"(?:[dt][ıiuü]r|denir|denilir)$")
_TR_OTHER_PREDICATE = re.compile(
    r"(?:[ae]c[ae][kğ]t[ıi]r|özeldir|m[ıiuü]şt[ıiuü]r|makta(?:dır)|mekte(?:dir)|[dt][ae]d[ıi]r|[dt][ae]nd[ıi]r|l[ıiuü]d[ıiuü]r|s[ıiuü]zd[ıiuü]r|"
    r"zorunludur|gereklidir|geçerlidir|vardır|yoktur|değildir|mümkündür|yeterlidir|yasaktır|açıktır|kapalıdır|boştur|bağlıdır|aynıdır|"
    r"uygundur|serbesttir|önemlidir|ücretsizdir|sınırlıdır|hazırdır|kadardır|içindir|gibidir|gerekir|biçimindedir|eşittir|büyüktür|küçüktür|"
    r"farklıdır|ayrıdır|çoktur|azdır|görevidir|'[dt][ıiuü]r)$"
)
_TR_CASE_ENDING = re.compile(
    r"(?:[dt][ae]|[dt][ae]n|ken|ınca|ince|unca|ünce|arak|erek|[ıiuü]p|s[ae]|için|göre|ile|sonra|önce|kadar|ve|veya|ya|ye|na|ne|yalnız|yalnızca|ise|olarak|üzere|rağmen|karşı|dolayı|dahil|dışında|içinde|yerine|çok|en|az|kez|kere|boyunca|[ıiuü]r|mez|maz|yor|[ğ][ae]|[dt][ıiuü]kç[ae]|d[ıiuü]ğ[ıiuü])$"
)
_TR_PURPOSE = re.compile(
    r"(?:sağlar|tanımlar|yönetir|kaydeder|hesaplar|doğrular|kanıtlar|listeler|gösterir|belirler|bildirir|tutar|toplar|izler|denetler|düzenler|planlar|karşılaştırır|ölçer|dağıtır|dönüştürür|birleştirir|bağlar|başlatır|kapsar|içerir)$"
)
_EN_IS = re.compile(
    r"^((?:The |A |An )?[\w`'/.()-]+(?: [\w`'/.()-]+){0,5}?) (is|are) ((?:a|an|the|one of|material|any|used to|used for|how|what|where|when)\b.+)\.$",
    re.DOTALL,
)
_EN_MEANS = re.compile(r"^((?:The |A |An )?[\w`'-]+(?: [\w`'-]+){0,4}) means ([\w ].+)\.$", re.DOTALL)
_EN_DOES = re.compile(
    r"^((?:The |A |An )?[\w`'/-]+(?: [\w`'/-]+){0,4}?) (?:shows|tells|lists|compares|records|defines|manages|follows|calculates|provides|"
    r"allows|describes|contains|converts|keeps|checks|tracks|controls|supports|represents|stores|holds|displays|enables|lets|helps) .+\.$",
    re.DOTALL,
)
_EN_VERBS_IN_SUBJECT = re.compile(
    r"\b(?:is|are|was|were|can|may|must|will|should|has|have|had|do|does|if|when|which|that|who|while|because|only|not|where|as|to|for|from|than|there|what|how|why|in)\b",
    re.IGNORECASE,
)


def definitions(sentence: str, topic: Topic, number: int) -> Iterator[Draft]:
    """At most one draft for a sentence of passage `number`."""
    text = plain(sentence)
    if leans(text, topic.language) or len(text.split()) < 5:
        return
    asked = _turkish(text, topic) if topic.language == "tr" else _english(text, topic)
    if asked is None:
        return
    question, subject, form = asked
    exact = lower_case(subject, topic.language) == lower_case(topic.heading, topic.language)
    yield Draft(
        question=question,
        answer=text,
        type=QuestionType.FACTUAL,
        difficulty=Difficulty.EASY,
        quotes=(Quote(number, sentence),),
        subject=subject,
        form=form,
        weight=100 if exact else 88 if form == "definition" else 70,
    )


def _turkish(text: str, topic: Topic) -> tuple[str, str, str] | None:
    """Question, subject and form."""
    match = _TR_SUBJECT.match(text)
    if match is None:
        return None
    subject, rest = match[1].strip(), match[2]
    head = re.split(r"[;:]", rest)[0].rstrip()
    last = lower_case(head.split()[-1].strip("`*\"'()"), "tr") if head else ""
    if not _is_turkish_subject(subject, topic) or len(head.split()) < 3:
        return None
    subject = resolve_subject(subject, topic)
    is_purpose = _TR_PURPOSE.search(last) is not None
    if re.search(r"\b(?:ayrı|farklı|sayılı) bir \w+$", head) or re.search(r"\b(?:gün|için)\b", subject):
        return None
    if _TR_NOUN_PREDICATE.search(last) and not _TR_OTHER_PREDICATE.search(last) and not is_purpose:
        return f"{subject} nedir?", subject, "definition"
    if is_purpose and lower_case(subject, "tr") in _titles(topic):
        return f"{subject} ne işe yarar?", subject, "purpose"
    return None


def _is_turkish_subject(subject: str, topic: Topic) -> bool:
    words = subject.split()
    if len(words) > 5 or not subject[0].isupper() or "`" in subject or re.search(r"\d[.,]?\d* |'", subject):
        return False
    if lower_case(subject, "tr") in _titles(topic):
        return True
    return not any(_TR_CASE_ENDING.search(lower_case(word, "tr")) for word in words[-1:]) and not any(
        re.search(r"(?:[dt][ae]|[dt][ae]n|arak|erek|s[ae])$", lower_case(word, "tr")) for word in words[:-1]
    )


def _titles(topic: Topic) -> tuple[str, ...]:
    return tuple(
        lower_case(title, "tr")
        for title in (
            topic.heading,
            topic.owner,
            topic.parent,
            f"{topic.owner} modülü",
            f"{topic.module} modülü",
            f"{topic.owner} alt modülü",
        )
    )


def _english_titles(topic: Topic) -> tuple[str, ...]:
    titles = (
        topic.heading,
        topic.owner,
        topic.parent,
        f"{topic.owner} module",
        f"{topic.module} module",
        f"{topic.owner} submodule",
    )
    return tuple(title.lower() for title in titles)


def _english(text: str, topic: Topic) -> tuple[str, str, str] | None:
    match = _EN_MEANS.match(text)
    if match and not _EN_VERBS_IN_SUBJECT.search(match[1]):
        return f"What does {first_small(match[1], 'en')} mean?", match[1], "definition"
    match = _EN_DOES.match(text)
    if match and match[1].lower().removeprefix("the ").removeprefix("a ").removeprefix("an ") in _english_titles(topic):
        return f"What does {first_small(match[1], 'en')} do?", match[1], "purpose"
    match = _EN_IS.match(text)
    if match is None or _EN_VERBS_IN_SUBJECT.search(match[1]):
        return None
    subject, verb, rest = match[1], match[2], match[3]
    if verb == "is" and subject.lower().startswith("the ") and " of " not in subject and len(subject.split()) < 2:
        return None
    if subject.split()[-1].endswith("ly") or len(text.split()) < 6:
        return None
    name = re.sub(r"^(?:The|A|An) ", "", subject)
    if rest.startswith(("used to", "used for")):
        return f"What {verb} {first_small(subject, 'en')} used for?", name, "purpose"
    return f"What {verb} {first_small(subject, 'en')}?", name, "definition"
