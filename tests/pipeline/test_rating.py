"""`groundtune rate` as people use it: keys from a file, keys on a real terminal, several raters, files back and forth."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from dataclasses import replace

import pytest

from groundtune.evaluation import AnswerRecord, ModelAnswer
from groundtune.evaluation.judge import SetAnswers
from groundtune.files import read_records, write_records
from groundtune.types import Chunk, Difficulty, Example, Exchange, Message, Pair, QuestionType, Rule

PASSAGE = "Kayıp makara otuz gün sonra müşteriye faturalanır."
TUNED = [f"Tuned modelin {number}. yanıtı." for number in range(6)]
BASE = [f"Base modelin {number}. yanıtı." for number in range(6)]


def pair(number, history):
    kinds = (QuestionType.FACTUAL, Difficulty.EASY)
    return Pair(
        f"p{number}",
        "g",
        Rule.INDIVIDUAL,
        "tr",
        f"{number}. soru nedir?",
        "Beklenen.",
        *kinds,
        True,
        ("c1",),
        (),
        "w",
        history,
    )


def example(number):
    asked = f"{number}. soru nedir?"
    messages = (Message("user", asked), Message("assistant", "Beklenen."))
    kinds = (Rule.INDIVIDUAL, QuestionType.FACTUAL, Difficulty.EASY)
    return Example(f"q{number}", messages, "tr", "test", f"p{number}", *kinds, True, asked, ("c1",), ("c1",))


def answer_file(project, tuned=TUNED, base=BASE, chunk_ids=("c1",)):
    def answer(text):
        return ModelAnswer(text, 3, True, chunk_ids, {}, False)

    write_records(
        project.run / "evaluation" / "answers.jsonl",
        [
            AnswerRecord(
                question_id=f"q{number}",
                pair_id="",
                language="tr",
                question=f"{number}. soru nedir?",
                references=(f"Beklenen yanıt {number}.",),
                answerable=True,
                type="factual",
                difficulty="easy",
                rule="individual",
                evidence_chunk_ids=(f"c{number}",),
                retrieved_chunk_ids=(),
                answers={
                    "base": answer("?"),
                    "base_context": answer(base[number]),
                    "tuned_context": answer(tuned[number]),
                },
            )
            for number in range(6)
        ],
    )


@pytest.fixture
def evaluated(light_project):
    """A work folder as an evaluation leaves it."""
    project = light_project
    answer_file(project)
    chunk = Chunk("c1", "stok", "", "", (), "tr", PASSAGE, 9, False, False, (), (), 1, "stok.md", 1, 1, "")
    write_records(project.work / "documents" / "chunks.jsonl", [chunk])
    earlier = Exchange("Makara nedir?", "Kablonun sarıldığı gövdedir.")
    write_records(project.work / "generation" / "pairs.jsonl", [pair(number, (earlier,)) for number in range(6)])
    write_records(project.work / "dataset" / "test.jsonl", [example(number) for number in range(6)])
    return project


def ratings(project):
    path = project.run / "evaluation" / "ratings.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rate_for_tuned(project, rater):
    """Every question: 5 for the tuned model's answer, 2 for the other, and the tuned one preferred, going by what is shown."""
    shown = project.succeed("rate", "--rater", rater, stdin="s" * 6).out
    found = [line.split(" modelin")[0] for line in shown.splitlines() if " modelin " in line]
    keys = ["55552222a" if first == "Tuned" else "22225555b" for first in found[::2]]
    assert len(keys) == 6
    project.succeed("rate", "--rater", rater, stdin="\n".join(keys))


# keys from a file


def test_keys_from_a_file_are_ratings_and_the_next_command_goes_on(evaluated):
    first = evaluated.succeed("rate", "--rater", "ayşe", "--json", stdin="4455 3245 b\n1 2 3 4\n5 4 3 2 t\n44").json
    assert (first["rated"], first["rated_now"], first["left"]) == (2, 2, 4)
    assert [(each["rater"], each["preferred"]) for each in ratings(evaluated)] == [("ayşe", "b"), ("ayşe", "tie")]
    again = evaluated.succeed("rate", "--rater", "ayşe", "--json", stdin="11111111a\n" * 9).json
    assert (again["rated"], again["rated_now"], again["left"]) == (6, 4, 0)
    assert len({each["question_id"] for each in ratings(evaluated)}) == 6


def test_a_rater_sees_question_answers_and_on_asking_passages_and_reference_and_never_whose_they_are(evaluated):
    shown = evaluated.succeed("rate", "--rater", "ayşe", stdin="").out
    assert "soru nedir?" in shown
    assert re.search(r"Önceki soru\n +Makara nedir\?\nÖnceki yanıt\n +Kablonun sarıldığı gövdedir\.\n", shown)
    assert "Base modelin" in shown
    assert "Tuned modelin" in shown
    assert "base_context" not in shown
    assert "tuned_context" not in shown
    assert PASSAGE not in shown
    assert "Beklenen yanıt" not in shown
    assert PASSAGE in evaluated.succeed("rate", "--rater", "ayşe", stdin="p").out
    assert "Beklenen yanıt" in evaluated.succeed("rate", "--rater", "ayşe", stdin="r").out
    assert "Beklenen yanıt" in evaluated.succeed("rate", "--rater", "ayşe", "--show-reference", stdin="").out


def test_passages_have_the_numbers_that_they_had_in_the_prompt(evaluated):
    """An answer that cites [1] means the passage that its model saw first."""
    [first] = read_records(evaluated.work / "documents" / "chunks.jsonl", Chunk)
    chunks = [first, replace(first, chunk_id="c0", text="İade edilen makara sayımdan düşülür.")]
    write_records(evaluated.work / "documents" / "chunks.jsonl", chunks)
    answer_file(evaluated, chunk_ids=("c1", "c0"))
    for rater in ("ayşe", "mehmet", "zeki"):
        shown = " ".join(evaluated.succeed("rate", "--rater", rater, stdin="p").out.split())
        assert f"[1] {PASSAGE} [2] İade edilen makara" in shown


def test_the_rater_is_spoken_to_in_the_language_of_the_documents_or_as_asked(evaluated):
    assert "Yararlılık" in evaluated.succeed("rate", "--rater", "ayşe", stdin="").out
    english = evaluated.succeed("rate", "--rater", "ayşe", "--language", "en", stdin="?").out
    assert "Helpfulness" in english
    assert "You mark two answers" in english


def test_an_answer_cannot_steer_the_terminal(evaluated):
    answer_file(evaluated, tuned=["a\x1b[2J\x1b]0;title\x07b\x9bc"] * 6)
    shown = evaluated.succeed("rate", "--rater", "ayşe", stdin="").out
    assert not set("\x1b\x07\x9b") & set(shown)
    assert "a�[2J�]0;title�b�c" in shown


# what it comes to


def test_the_summary_puts_the_names_back(evaluated):
    rate_for_tuned(evaluated, "ayşe")
    found = evaluated.succeed("rate", "--summary", "--json").json["summary"]
    assert (found["ratings"], found["questions"], found["stale"]) == (6, 6, 0)
    assert found["systems"]["tuned_context"]["marks"]["overall"]["value"] == 5.0
    assert found["systems"]["base_context"]["marks"]["overall"]["value"] == 2.0
    assert found["systems"]["base_context"]["unsafe"]["value"] == 1.0
    [preference] = found["preferences"]
    assert (preference["first"], preference["second"], preference["wins"]) == ("base_context", "tuned_context", 6)
    # positions are balanced, so a rater who always prefers the same system prefers A half of the time
    assert found["raters"][0]["first_shown_won"]["value"] == 0.5
    shown = evaluated.succeed("rate", "--summary").out
    assert re.search(r"tuned \+ passages against base \+ passages", shown)
    assert re.search(r"overall, difference +6 +\+3\.00", shown)


def test_two_raters_agree_as_far_as_they_do(evaluated):
    evaluated.succeed("rate", "--rater", "ayşe", stdin="1234 5432 b\n 5555 1111 a\n" * 3)
    evaluated.succeed("rate", "--rater", "[/mehmet]", stdin="1234 5432 b\n 5555 1111 a\n" * 3)
    found = evaluated.succeed("rate", "--summary", "--json").json["summary"]
    assert {tuple(each["raters"]) for each in found["agreement"]} == {("[/mehmet]", "ayşe")}
    assert {each["of"]: each["kappa"]["n"] for each in found["agreement"]} == {
        "helpfulness": 12,
        "accuracy": 12,
        "clarity": 12,
        "safety": 12,
        "preference": 6,
    }
    assert "[/mehmet] and ayşe" in evaluated.succeed("rate", "--summary").out


def test_after_another_evaluation_ratings_of_changed_answers_are_set_aside_and_asked_again(evaluated):
    evaluated.succeed("rate", "--rater", "ayşe", stdin="33333333t" * 6)
    answer_file(evaluated, tuned=["Yeni yanıt.", *TUNED[1:]])
    found = evaluated.succeed("rate", "--summary", "--json").json["summary"]
    assert (found["ratings"], found["stale"]) == (5, 1)
    again = evaluated.succeed("rate", "--rater", "ayşe", "--json", stdin="33333333t").json
    assert (again["rated"], again["left"]) == (6, 0)
    assert evaluated.succeed("rate", "--summary", "--json").json["summary"]["ratings"] == 6


def test_before_anybody_has_rated_the_summary_says_so(evaluated):
    assert evaluated.succeed("rate", "--summary", "--json").json["summary"] is None
    assert "nobody has rated" in evaluated.succeed("rate", "--summary").out


# everyday tasks


def set_answer_file(project, tuned="It is four."):
    answered = [
        SetAnswers(
            f"en-maths-{number}",
            "maths",
            "en",
            (f"What is {number} + 2?", "And doubled?"),
            ("", ""),
            {"base": ("I do not know.", ""), "tuned": (tuned, "Eight.")},
        )
        for number in range(4)
    ]
    write_records(project.run / "evaluation" / "judge" / "conversations.jsonl", answered)


def test_everyday_tasks_are_rated_blind_as_whole_conversations_and_told_apart(evaluated):
    set_answer_file(evaluated)
    shown = evaluated.succeed("rate", "--rater", "ayşe", "--sets", "--language", "en", stdin="?\nq\nr\n3\n").out
    assert "(1) What is" in shown
    assert "(2) And doubled?" in shown
    assert "There are no documents here" in shown
    assert "Is what it says right, and was each wish followed?" in shown
    assert "There is no one right answer to this." in shown
    assert not re.search("base|tuned", shown)
    evaluated.succeed("rate", "--rater", "ayşe", stdin="33333333t" * 2)
    evaluated.succeed("rate", "--rater", "ayşe", "--sets", stdin="11115555b" * 4)
    found = evaluated.succeed("rate", "--summary", "--json").json["summary"]
    assert (found["ratings"], found["questions"], set(found["systems"])) == (2, 2, {"base_context", "tuned_context"})
    assert (found["sets"]["ratings"], set(found["sets"]["systems"])) == (4, {"base", "tuned"})
    # positions are balanced here too, and this rater goes by them
    assert found["sets"]["raters"][0]["preferred"] == {"base": 2, "tuned": 2, "tie": 0}
    told = evaluated.succeed("rate", "--summary").out
    assert "Answers about the documents: 2 ratings of 2 questions by 1 person" in told
    assert "Everyday tasks: 4 ratings of 4 questions by 1 person" in told
    set_answer_file(evaluated, tuned="Another answer.")
    again = evaluated.succeed("rate", "--summary", "--json").json["summary"]
    assert (again["stale"], again["sets"]["ratings"], again["sets"]["stale"]) == (0, 0, 4)


def test_forms_over_everyday_tasks_are_ratings_of_them(evaluated):
    set_answer_file(evaluated)
    evaluated.succeed("rate", "--forms", "f.jsonl", "--sets", "--rater", "zeki")
    path = evaluated.folder / "f.jsonl"
    forms = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for form in forms:
        for letter in "ab":
            form[f"marks_{letter}"] = dict.fromkeys(form["marks_a"], 3)
        form["preferred"] = "tie"
    write_records(path, forms)
    assert evaluated.succeed("rate", "--import", "f.jsonl", "--json").json["counts"]["new"] == 4
    assert {each["source"] for each in ratings(evaluated)} == {"sets"}


def test_without_answers_to_everyday_tasks_it_is_said_how_to_get_them(evaluated):
    done = evaluated.call("rate", "--sets", "--rater", "x")
    assert done.status == 2
    assert "`groundtune judge` with evaluation.judge (provider and model) set" in done.err


# files


def test_ratings_exported_are_imported_elsewhere_and_only_once(evaluated, tmp_path):
    evaluated.succeed("rate", "--rater", "ayşe", stdin="33333333t" * 4)
    there = evaluated.copy_to(tmp_path / "there")
    there.succeed("rate", "--rater", "mehmet", stdin="44444444a" * 2)
    there.succeed("rate", "--export", "all.jsonl")
    counts = evaluated.succeed("rate", "--import", str(there.folder / "all.jsonl"), "--json").json["counts"]
    assert (counts["new"], counts["known already"]) == (2, 4)
    assert evaluated.succeed("rate", "--import", str(there.folder / "all.jsonl"), "--json").json["counts"]["new"] == 0
    assert ratings(evaluated) == ratings(there)


def test_forms_filled_in_without_groundtune_are_ratings(evaluated):
    assert (
        evaluated.succeed("rate", "--forms", "f.jsonl", "--rater", "zeki", "--questions", "3", "--json").json["forms"]
        == 3
    )
    path = evaluated.folder / "f.jsonl"
    forms = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for form in forms:
        best = "a" if "Tuned" in form["answer_a"] else "b"
        for letter in "ab":
            form[f"marks_{letter}"] = dict.fromkeys(form["marks_a"], 5 if letter == best else 1)
        form["preferred"] = best
    write_records(path, forms)
    evaluated.succeed("rate", "--import", "f.jsonl")
    found = evaluated.succeed("rate", "--summary", "--json").json["summary"]
    assert found["systems"]["tuned_context"]["marks"]["overall"]["value"] == 5.0
    assert found["preferences"][0]["wins"] == 3
    # who goes on in the terminal is not asked the same again
    assert evaluated.succeed("rate", "--rater", "zeki", "--json", stdin="").json["left"] == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rater", "x", "--systems", "base"], "expected two of base, base_context, tuned_context"),
        (["--rater", "x", "--systems", "base,best"], "expected two of base, base_context, tuned_context"),
        (["--rater", "x", "--language", "de"], "expected tr or en"),
        (["--rater", " "], "expected a name or pseudonym"),
        ([], "--rater NAME"),
        (["--forms", "f.jsonl"], "--rater NAME"),
        (["--summary", "--export", "x.jsonl"], "--summary and --export"),
        (["--import", "missing.jsonl"], "missing.jsonl: no such file"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(evaluated, arguments, told):
    done = evaluated.call("rate", *arguments)
    assert (done.status, told in done.err) == (2, True), done.err


def test_without_an_evaluation_there_is_nothing_to_rate(evaluated):
    (evaluated.run / "evaluation" / "answers.jsonl").unlink()
    done = evaluated.call("rate", "--rater", "x", stdin="33333333t")
    assert done.status == 2
    assert "groundtune evaluate" in done.err


def test_answers_to_questions_that_are_no_more_are_not_rated(evaluated):
    write_records(evaluated.work / "dataset" / "test.jsonl", [example(number) for number in range(1, 6)])
    done = evaluated.call("rate", "--rater", "x", stdin="33333333t")
    assert done.status == 2
    assert "'q0'" in done.err


def test_passages_that_ones_own_questions_bring_are_to_be_seen(evaluated):
    own = "Makara iadesi için irsaliye gerekir."
    rows = [
        {"id": f"q{number}", "question": f"{number}. soru nedir?", "answer": "x", "context": own} for number in range(6)
    ]
    (evaluated.folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    shown = evaluated.succeed("rate", "--rater", "x", "--set", "evaluation.questions=own.jsonl", stdin="p").out
    assert own in shown


def test_where_there_are_no_passages_base_and_tuned_are_put_side_by_side(evaluated):
    path = evaluated.run / "evaluation" / "answers.jsonl"
    records = read_records(path, AnswerRecord)
    bare = [
        replace(
            each, answers={"base": each.answers["base"], "tuned": replace(each.answers["tuned_context"], chunk_ids=())}
        )
        for each in records
    ]
    bare = [
        replace(each, answers={**each.answers, "base": replace(each.answers["base"], chunk_ids=())}) for each in bare
    ]
    write_records(path, bare)
    shown = evaluated.succeed("rate", "--rater", "x", stdin="p 33333333 t").out
    assert "Sistemlere pasaj verilmedi." in shown
    assert [set(each["systems"]) for each in ratings(evaluated)] == [{"base", "tuned"}]
    assert set(evaluated.succeed("rate", "--summary", "--json").json["summary"]["systems"]) == {"base", "tuned"}


# a real terminal


class Terminal:
    """The command on a terminal of its own, where Ctrl-C is a key."""

    def __init__(self, folder, *arguments):
        self.master, self._slave = pty.openpty()
        self.before = termios.tcgetattr(self._slave)
        self.text = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "groundtune.cli.main", *arguments],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "2", "COLUMNS": "80", "LINES": "40", "TERM": "xterm"},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=self._take_the_terminal,
        )
        os.set_blocking(self.master, False)

    @staticmethod
    def _take_the_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # where tests are started in the background Ctrl-C is ignored, and what they start would inherit that
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def _read(self):
        try:
            self.text += os.read(self.master, 65536).decode("utf-8", "replace")
        except BlockingIOError:
            time.sleep(0.01)

    def wait_for(self, words):
        """Until the terminal shows `words`; what was shown before them is forgotten."""
        until = time.monotonic() + 30
        while words not in self.text:
            assert time.monotonic() < until, f"{words!r} did not come; there is:\n{self.text}"
            assert self._process.poll() is None or words in self.text, self.text
            self._read()
        self.text = self.text.partition(words)[2]

    def type(self, keys):
        os.write(self.master, keys.encode())

    def set_back(self):
        """The terminal as a shell sets it while the command is stopped."""
        termios.tcsetattr(self._slave, termios.TCSANOW, self.before)

    def signal(self, number):
        self._process.send_signal(number)

    def end(self):
        """The exit status, and whether the terminal is as it was."""
        until = time.monotonic() + 30
        while self._process.poll() is None:
            assert time.monotonic() < until, self.text
            self._read()
        restored = termios.tcgetattr(self._slave) == self.before
        self._read()
        return self._process.returncode, restored

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._slave)
        os.close(self.master)


@pytest.fixture
def terminals(evaluated):
    """Starts the command on a terminal, as often as one likes."""
    made = []

    def start(*arguments):
        made.append(Terminal(evaluated.folder, *arguments))
        return made[-1]

    yield start
    for terminal in made:
        terminal.close()


def test_on_a_terminal_single_keys_count_and_ctrl_c_keeps_everything(evaluated, terminals):
    terminal = terminals("rate")
    terminal.wait_for("takma ad")
    terminal.wait_for("]: ")
    terminal.type("usta\n")
    terminal.wait_for("A · Yararlılık")
    terminal.type("4")
    terminal.wait_for("A · Doğruluk")
    # an arrow, and a letter that is no mark
    terminal.type("\x1b[A")
    terminal.type("ş")
    terminal.wait_for("1 ile 5 arasında")
    terminal.type("555")
    terminal.wait_for("B · Yararlılık")
    terminal.type("3333")
    terminal.wait_for("Hangisi daha iyi?")
    terminal.type("a")
    terminal.wait_for("Kaydedildi")
    # on the disk before anything else is asked
    assert [(each["rater"], each["preferred"]) for each in ratings(evaluated)] == [("usta", "a")]
    terminal.wait_for("? yardım")
    terminal.type("44")
    terminal.wait_for("A · Anlaşılırlık")
    terminal.type("\x03")
    assert terminal.end() == (130, True)
    assert "the same command continues" in terminal.text
    assert len(ratings(evaluated)) == 1
    # the name is known now: Enter takes it, and the rated question is not asked again
    again = terminals("rate")
    again.wait_for("[usta]: ")
    again.type("\n")
    again.wait_for("1 değerlendirildi")
    again.wait_for("? yardım")
    again.type("11111111t" * 5)
    again.wait_for("Soru kalmadı")
    again.type("\x04")
    assert again.end() == (0, True)
    assert len(ratings(evaluated)) == 6


@pytest.mark.parametrize(
    ("number", "status", "restored"), [(signal.SIGTERM, 143, True), (signal.SIGKILL, -signal.SIGKILL, False)]
)
def test_a_killed_session_has_lost_nothing(evaluated, terminals, number, status, restored):
    terminal = terminals("rate", "--rater", "x")
    terminal.wait_for("? yardım")
    terminal.type("11111111t")
    terminal.wait_for("Kaydedildi")
    terminal.signal(number)
    assert terminal.end() == (status, restored)
    assert len(ratings(evaluated)) == 1
    assert evaluated.succeed("rate", "--rater", "x", "--json", stdin="").json["rated"] == 1


def test_a_session_that_was_stopped_draws_the_page_again_and_reads_single_keys(terminals):
    terminal = terminals("rate", "--rater", "x")
    terminal.wait_for("? yardım")
    terminal.signal(signal.SIGSTOP)
    terminal.set_back()
    terminal.signal(signal.SIGCONT)
    terminal.wait_for("Soru 1/6")
    terminal.wait_for("? yardım")
    terminal.type("4")
    terminal.wait_for("A · Doğruluk")
    terminal.type("q")
    assert terminal.end() == (0, True)
