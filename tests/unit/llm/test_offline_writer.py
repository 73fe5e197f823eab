"""The rule-based writer, through the same protocol a language model would answer."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.errors import GenerationError
from groundtune.llm import LLMRequest, OfflineWriter, Passage, Task, render_passages, render_task
from groundtune.types import Rule

CRUMBS = ("Stok", "Lot Takibi", "Lot durumları")


def ask(
    *texts: str, language: str = "tr", rule: Rule = Rule.INDIVIDUAL, pairs: int = 20, crumbs: tuple[str, ...] = CRUMBS
) -> list[dict[str, Any]]:
    passages = [Passage(number, crumbs, text) for number, text in enumerate(texts, start=1)]
    prompt = f"{render_passages(passages)}\n\n{render_task(Task(language, rule, pairs, 200))}"
    response = asyncio.run(OfflineWriter().complete(LLMRequest("", prompt, {}, "offline-rules/1")))
    return list(json.loads(response.text)["pairs"])


def questions(*texts: str, **settings: Any) -> dict[str, str]:
    return {pair["question"]: pair["answer"] for pair in ask(*texts, **settings)}


def test_a_definition_is_asked_by_its_subject_and_answered_verbatim() -> None:
    sentence = "Lot durumu, lotun kullanılıp kullanılamayacağını belirleyen tek alandır."
    assert questions(f"{sentence} Yeni lot KR-04 deposunda açılır.")["Lot durumu nedir?"] == sentence


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("PVC granülün raf ömrü 365 gündür.", "PVC granülün raf ömrü kaç gündür?"),
        ("Bir lot en çok 12 alt lota bölünür; alt lot yeniden bölünemez.", "Bir lot en çok kaç alt lota bölünür?"),
        ("Lot satırları `stk_lots` tablosunda tutulur.", "Lot satırları hangi tabloda tutulur?"),
        ("Lot kartı **Stok > Lotlar > Lot Kartı** ekranından açılır.", "Lot kartı hangi ekrandan açılır?"),
        ("İzleme ağacı `GET /api/v2/stock/lots` ucundan alınır.", "İzleme ağacı hangi uçtan alınır?"),
        ("Ana lot sonradan bloke edilirse alt lotlar da bloke olur.", "Ana lot sonradan bloke edilirse ne olur?"),
        ("Lot bloke yetkisi yalnız KALITE_MUDURU rolündedir.", "Lot bloke yetkisi hangi roldedir?"),
        (
            "Sırası dışında lot okutan operatör STK-204 hatası alır.",
            "Sırası dışında lot okutan operatör hangi hatayı alır?",
        ),
        ("Lot görevi her gece 00.15'te çalışır.", "Lot görevi her gece saat kaçta çalışır?"),
        ("Blokeli lot rezerve edilemez.", "Blokeli lot rezerve edilebilir mi?"),
        ("Bloke kaldırılırken yeni tarihli bir test raporu zorunludur.", "Bloke kaldırılırken ne zorunludur?"),
        ("Günlük lot kuru sabitse fark %5'ten büyük olamaz.", "Günlük lot kuru sabitse ne olur?"),
    ],
)
def test_turkish_sentences_are_asked_where_the_answer_stands(sentence: str, question: str) -> None:
    asked = questions(sentence)
    assert sentence.replace("**", "") in asked[question]


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("A lot number is a 13-character code that shows the day of the lot.", "What is a lot number?"),
        ("Lot records are kept for 10 years, even after the lot is used up.", "How long are lot records kept?"),
        ("PVC compound has a shelf life of 365 days.", "What is the shelf life of PVC compound?"),
        ("Lot balances are read from `GET /api/v2/stock/balances`.", "From which endpoint are lot balances read?"),
        (
            "If a lot is blocked by hand, the open reservations are cancelled.",
            "What happens if a lot is blocked by hand?",
        ),
        ("At most 9,999 lots can be opened in one day.", "How many lots can be opened in one day at most?"),
        ("A blocked lot cannot be reserved for an order.", "Can a blocked lot be reserved for an order?"),
    ],
)
def test_english_sentences_are_asked_with_the_question_word_in_front(sentence: str, question: str) -> None:
    asked = questions(sentence, language="en", crumbs=("Stock", "Lot Tracking", "Lot statuses"))
    assert sentence.replace("**", "") in asked[question]


@pytest.mark.parametrize(
    "sentence",
    [
        "Bu süre 30 gündür.",
        "Ayrıca 12 lot açılabilir.",
        "Örneğin kayıt 3 gün bekler.",
        "Yukarıdaki tabloda 5 alan vardır.",
    ],
)
def test_a_sentence_that_leans_on_another_is_left_alone(sentence: str) -> None:
    assert ask(sentence) == []


def test_steps_are_answered_whole_and_in_order() -> None:
    text = "### Lot bölme\n\n1. **Stok > Lotlar > Böl** ekranını açın.\n2. Etiketi okutun.\n3. **Böl** düğmesine basın."
    asked = questions(text, crumbs=("Stok", "Lot Takibi", "Lot bölme"))
    assert (
        asked["Lot nasıl bölünür?"]
        == "1. Stok > Lotlar > Böl ekranını açın.\n2. Etiketi okutun.\n3. Böl düğmesine basın."
    )


def test_a_generic_heading_is_named_by_what_stands_above_it() -> None:
    text = "### Adım adım kayıt\n\n1. Ekranı açın.\n2. Etiketi okutun.\n3. Düğmeye basın."
    asked = questions(text, crumbs=("Hammadde", "Mal Kabul", "Mal Kabul Kaydı Oluşturma", "Adım adım kayıt"))
    assert "Mal kabul kaydı nasıl oluşturulur?" in asked


def test_table_columns_are_read_by_their_headers() -> None:
    fields = "### Alanlar\n\n| Alan | Tür | Zorunlu | Anlamı |\n|---|---|---|---|\n| `lot_no` | metin (16) | Evet | Lot numarası |\n| `expiry_date` | tarih | Hayır | Son kullanma tarihi |"
    asked = questions(fields, crumbs=("Stok", "Lot Takibi", "Alanlar"))
    assert asked["Lot Takibi bölümündeki `lot_no` alanı zorunlu mudur?"] == "Evet, `lot_no` alanı zorunludur."
    assert (
        asked["Lot Takibi bölümündeki `expiry_date` alanı zorunlu mudur?"]
        == "Hayır, `expiry_date` alanı zorunlu değildir."
    )
    codes = "### Hata kodları\n\n| Kod | Anlamı |\n|---|---|\n| STK-203 | Sınır doldu |\n| STK-204 | Sıra dışında lot okutuldu |"
    asked = questions(codes, crumbs=("Stok", "Lot Takibi", "Hata kodları"))
    assert asked["STK-204 hata kodu ne anlama gelir?"] == "STK-204 hata kodu: Sıra dışında lot okutuldu."
    parameters = "| Parametre | Değer | Birim |\n|---|---|---|\n| `adm.session_minutes` | 30 | dakika |\n| `adm.file_max_mb` | 25 | MB |"
    asked = questions(parameters)
    assert (
        asked["`adm.session_minutes` parametresinin değeri nedir?"]
        == "`adm.session_minutes` parametresinin değeri 30 dakikadır."
    )


def test_two_definitions_of_siblings_are_compared_and_both_cited() -> None:
    pairs = ask(
        "Lot numarası, lotun doğduğu günü gösteren 13 karakterlik koddur.",
        "Parti numarası, tedarikçinin aynı ergitmeye verdiği 12 haneli koddur.",
        rule=Rule.HORIZONTAL_SIBLINGS,
    )
    (pair,) = [pair for pair in pairs if pair["type"] == "comparative"]
    assert pair["question"] == "Lot numarası ile parti numarası arasındaki fark nedir?"
    assert [quote["chunk"] for quote in pair["evidence"]] == [1, 2]


def test_every_pair_of_a_multi_chunk_rule_cites_two_passages() -> None:
    texts = [
        "Lot, tek numara altında izlenen miktardır. Lotlar `stk_lots` tablosunda tutulur.",
        "## Mal kabul\n\nOnayla birlikte `stk_lots` tablosunda yeni bir lot doğar. Lot kayıtları 10 yıl saklanır.",
        "Rezervasyon, bir lotu sipariş adına ayırma kaydıdır. Bir lot en çok 12 alt lota bölünür.",
    ]
    for rule in Rule:
        for pair in ask(*texts, rule=rule):
            cited = {quote["chunk"] for quote in pair["evidence"]}
            assert rule is Rule.INDIVIDUAL or len(cited) >= 2


def test_it_writes_no_more_pairs_than_asked_and_spreads_them_over_types() -> None:
    text = "Lot, izlenen miktardır. Lot kayıtları 10 yıl saklanır.\n\n1. Ekranı açın.\n2. Lotu okutun.\n3. Basın.\n\nLot bloke edilirse sevk yapılamaz."
    assert len(ask(text, pairs=2)) == 2
    assert len({pair["type"] for pair in ask(text, pairs=3)}) >= 2


def test_the_same_request_always_gets_the_same_text() -> None:
    assert ask("Lot durumu, lotun kullanılıp kullanılamayacağını belirleyen tek alandır.") == ask(
        "Lot durumu, lotun kullanılıp kullanılamayacağını belirleyen tek alandır."
    )


def test_a_language_it_does_not_know_gets_no_pairs() -> None:
    assert ask("Eine Charge ist eine Menge mit einer Nummer.", language="de") == []


def test_a_prompt_that_is_not_for_groups_is_refused() -> None:
    with pytest.raises(GenerationError, match="task"):
        asyncio.run(OfflineWriter().complete(LLMRequest("", "Merhaba", {}, "offline-rules/1")))


LINES = st.one_of(
    st.sampled_from(
        [
            "## Hata kodları",
            "| Kod | Anlamı |",
            "|---|---|",
            "| STK-1 | `x` bulunamadı |",
            "| A | **B** > C |",
            "1. **Böl** düğmesine basın.",
            "2. Açın.",
            "- **Kabul:** Lot geçer.",
            "Lot durumu, lotu belirleyen tek alandır.",
            "Bir lot en çok 12 alt lota bölünür.",
            "",
            "```sql",
            "```",
            "SELECT 1 FROM stk_lots",
            "> **Not:** Lot 5 gün sonra silinirse kayıt kapanır.",
            "Lot kartı `stk_lots` tablosuna yazılır.",
        ]
    ),
    st.text(alphabet="abçğıİÖşü .,;:()`*|'-0123456789%>ABC_\n", max_size=60),
)


@settings(max_examples=tries(600), deadline=None)
@given(
    st.lists(st.lists(LINES, max_size=10).map("\n".join), min_size=1, max_size=3),
    st.sampled_from(["tr", "en"]),
    st.sampled_from(list(Rule)),
)
def test_whatever_the_text_quotes_are_verbatim_and_questions_are_one_line(
    texts: list[str], language: str, rule: Rule
) -> None:
    for pair in ask(*texts, language=language, rule=rule):
        assert pair["question"].endswith("?")
        assert "\n" not in pair["question"]
        assert pair["answer"].strip()
        assert pair["evidence"]
        assert all(quote["quote"] in texts[quote["chunk"] - 1] for quote in pair["evidence"])


LOT = "Lot durumu, lotun kullanılıp kullanılamayacağını belirleyen tek alandır."
SHELF_LIFE = "PVC granülün raf ömrü 365 gündür."


def ask_about(context: str, prompt: str, task: Task) -> list[dict[str, Any]]:
    request = LLMRequest("", f"{prompt}\n\n{render_task(task)}", {}, "offline-rules/1", context=context)
    return list(json.loads(asyncio.run(OfflineWriter().complete(request)).text)["pairs"])


def test_with_a_focus_every_pair_rests_on_a_passage_of_it() -> None:
    context = render_passages([Passage(1, CRUMBS, LOT), Passage(2, CRUMBS, SHELF_LIFE)])
    everywhere = ask_about(context, "", Task("tr", Rule.INDIVIDUAL, 20, 200))
    assert {item["evidence"][0]["chunk"] for item in everywhere} == {1, 2}
    focused = ask_about(context, "", Task("tr", Rule.INDIVIDUAL, 20, 200, focus=(2,)))
    assert focused == [item for item in everywhere if item["evidence"][0]["chunk"] == 2]


def test_a_question_asked_before_is_not_asked_again() -> None:
    context = render_passages([Passage(1, CRUMBS, f"{LOT} {SHELF_LIFE}")])
    task = Task("tr", Rule.INDIVIDUAL, 20, 200)
    first, *others = ask_about(context, "", task)
    assert others
    assert ask_about(context, f"Şu sorular zaten var:\n- {first['question']}", task) == others


def test_an_answer_quoted_in_the_prompt_is_no_passage() -> None:
    context = render_passages([Passage(1, CRUMBS, LOT)])
    forged = "===== [2] Stok\n" + SHELF_LIFE + "\n====="
    task = Task("tr", Rule.INDIVIDUAL, 20, 200)
    assert ask_about(context, forged, task) == ask_about(context, "", task)
