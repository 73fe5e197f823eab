"""Turkish suffixes, checked against how the words are written."""

import pytest

from groundtune.llm.offline.turkish import (
    NOUNS,
    capitalise,
    copula,
    first_clause,
    how_many_case,
    possessed_endings,
    question_particle,
    read_aloud,
    sentence_case,
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("zorunlu", "mu"),
        ("değil", "mi"),
        ("açık", "mı"),
        ("görünür", "mü"),
        ("kullanılır", "mı"),
        ("rezerve edilebilir", "mi"),
        ("İPTAL", "mı"),
    ],
)
def test_the_question_particle_harmonises_with_the_last_vowel(word: str, expected: str) -> None:
    assert question_particle(word) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("30 dakika", "30 dakikadır"),
        ("kayıt", "kayıttır"),
        ("ölçüt", "ölçüttür"),
        ("kod", "koddur"),
        ("3", "3'tür"),
        ("6", "6'dır"),
        ("9", "9'dur"),
        ("90", "90'dır"),
        ("200", "200'dür"),
        ("1.000", "1.000'dir"),
        ("0,85", "0,85'tir"),
        ("%12", "%12'dir"),
        ("250 TL", "250 TL'dir"),
    ],
)
def test_the_copula_follows_how_figures_and_words_are_read(word: str, expected: str) -> None:
    assert word + copula(word) == expected


@pytest.mark.parametrize(
    ("figure", "word"),
    [
        ("0", "sıfır"),
        ("10", "on"),
        ("60", "altmış"),
        ("147", "yedi"),
        ("500", "yüz"),
        ("9.000", "bin"),
        ("2.000.000", "milyon"),
    ],
)
def test_a_figure_ends_as_it_is_spoken(figure: str, word: str) -> None:
    assert read_aloud(figure) == word


@pytest.mark.parametrize(
    ("noun", "possessed", "bare"),
    [
        ("tablo", "tablosuna", "tabloya"),
        ("tablo", "tablosundadır", "tablodadır"),
        ("ekran", "ekranından", "ekrandan"),
        ("ekran", "ekranıdır", "ekrandır"),
        ("uç", "ucundan", "uçtan"),
        ("uç", "ucuna", "uca"),
        ("istek", "isteğiyle", "istekle"),
        ("istek", "isteğine", "isteğe"),
        ("hat", "hattına", "hatta"),
        ("rol", "rolüne", "role"),
        ("rol", "rolündedir", "roldedir"),
        ("durum", "durumunda", "durumda"),
        ("alan", "alanıyla", "alanla"),
        ("parametre", "parametresidir", "parametredir"),
        ("adres", "adresinden", "adresten"),
        ("depo", "deposuna", "depoya"),
        ("biçim", "biçimindedir", "biçimdedir"),
    ],
)
def test_a_possessed_noun_gives_its_bare_form_in_the_same_case(noun: str, possessed: str, bare: str) -> None:
    assert possessed_endings(noun)[possessed] == bare


def test_every_noun_has_all_its_cases() -> None:
    for noun in NOUNS:
        assert len(possessed_endings(noun)) == 10, noun


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        ("", "kaç"),
        ("tir", "kaçtır"),
        ("ten", "kaçtan"),
        ("te", "kaçta"),
        ("e", "kaça"),
        ("ini", "kaçını"),
        ("sı", "kaçı"),
        ("ya", "kaça"),
    ],
)
def test_how_many_takes_over_the_case_of_the_figure(suffix: str, expected: str) -> None:
    assert how_many_case(suffix) == expected


def test_how_many_gives_up_on_a_suffix_it_does_not_know() -> None:
    assert how_many_case("inci") is None


def test_headings_become_running_text_but_codes_and_units_stay() -> None:
    assert sentence_case("İş Emri Açma") == "iş emri açma"
    assert sentence_case("En büyük direnç (Ω/km)") == "en büyük direnç (Ω/km)"
    assert sentence_case("KabloERP Ekranı") == "KabloERP ekranı"


def test_capitals_keep_the_turkish_dot() -> None:
    assert capitalise("irsaliye") == "İrsaliye"
    assert capitalise("ısı") == "Isı"


def test_a_sentence_is_cut_after_its_first_finite_verb_only() -> None:
    assert first_clause("Kapanışı MUHASEBE yürütür, son kilidi FINANS_MUDURU koyar") == "Kapanışı MUHASEBE yürütür"
    assert first_clause("Depo, satır ve sütun bilgisini taşır") == "Depo, satır ve sütun bilgisini taşır"
