"""What must be kept is found in both languages, and what is new is noticed."""

import pytest

from groundtune.dataset.augment.checks import (
    invented_numbers,
    kept_parts,
    lost_parts,
    new_content_words,
    other_language,
    rouge_l,
)


@pytest.mark.parametrize(
    ("instruction", "parts"),
    [
        ("Rapor neyi gösterir?", []),
        ("Ankara'daki depoda 12 palet, Bursa'da 3,5 ton var mı?", ["12", "3,5", "Bursa"]),
        ("Why does `git rebase -i` need HEAD~3 when SQL does not?", ["git rebase -i", "3", "HEAD", "SQL"]),
        ('Translate "good morning" for Ayşe Yılmaz.', ["good morning", "Ayşe", "Yılmaz"]),
        (
            "Open src/main.py, call load_rows() with maxRows at v2.1.3",
            ["src/main.py", "load_rows()", "maxRows", "v2.1.3"],
        ),
        (
            "Mail it to a.b@example.com or see https://example.com/x?y=1 today",
            ["a.b@example.com", "https://example.com/x?y=1"],
        ),
    ],
)
def test_numbers_names_and_code_are_to_be_kept(instruction, parts):
    assert sorted(kept_parts(instruction)) == sorted(parts)
    assert lost_parts(instruction, instruction) == []


@pytest.mark.parametrize(
    ("original", "rephrased", "lost"),
    [
        ("Depoda Bursa için 12 palet var mı?", "Bursa'ya ayrılmış 12 palet bulunuyor mu?", []),
        ("Depoda 12 palet var mı?", "Depoda 120 palet bulunuyor mu?", ["12"]),
        ("Is 3.5 enough?", "Do 13.5 do?", ["3.5"]),
        ("Is 3 enough?", "Would 3.5 do?", ["3"]),
        ("What does `ship_date` hold?", "What is kept in ship date?", ["ship_date"]),
        ("Who wrote it for Can?", "Who wrote it for canned food?", ["Can"]),
    ],
)
def test_a_lost_part_is_named_and_a_suffix_is_no_loss(original, rephrased, lost):
    assert lost_parts(original, rephrased) == lost


def test_numbers_from_nowhere_are_noticed():
    assert invented_numbers("12 palet, 7 kasa", ["12 palet", "8 kasa"]) == ["7"]


@pytest.mark.parametrize(
    ("text", "original", "language", "new"),
    [
        ("Kayıtlar depoda tutulur.", "Kayıt depolarda tutulmaktadır.", "tr", []),
        ("Işık açılır.", "IŞIĞIN AÇILMASI gerekir.", "tr", []),
        ("Kayıtlar sunucuda tutulur.", "Kayıt depolarda tutulmaktadır.", "tr", ["sunucuda"]),
        ("They are counted because of the invoices.", "Counting follows an invoice.", "en", []),
        ("They are shipped.", "Counting follows an invoice.", "en", ["shipped"]),
    ],
)
def test_inflected_words_are_not_new(text, original, language, new):
    assert new_content_words(text, original, language) == new


def test_rouge_l_follows_the_longest_common_subsequence():
    # "the cat ... mat" of lengths 6 and 5 have 4 words in order in common: 2 * 4 / 11
    assert rouge_l(["the", "cat", "sat", "on", "the", "mat"], ["the", "cat", "lay", "the", "mat"]) == pytest.approx(
        8 / 11
    )
    assert rouge_l([], ["a"]) == 0.0
    assert rouge_l(["a"], ["a"]) == 1.0


def test_only_a_sure_other_language_counts():
    assert other_language("Welche Unterlagen braucht das Lager für gesperrte Ware?", "tr") == "de"
    assert other_language("Ja.", "tr") is None
    assert other_language("Depo, bloke edilmiş mal için hangi belgelere ihtiyaç duyar?", "tr") is None
