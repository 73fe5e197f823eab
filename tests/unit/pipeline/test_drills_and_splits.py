"""Drills keep the law of the splits: nothing that validation or test rests on is shown or asked."""

from groundtune.config import default_config
from groundtune.files import sha256_text, write_records
from groundtune.pipeline.material import drill_chunks
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Difficulty, Example, Message, QuestionType, Rule


def chunk(number: int, text: str) -> Chunk:
    return Chunk(
        f"c-{number}", "Stok", "Lot", "Lot", ("Stok", "Lot"), "tr", text, 9, False, False, (), (), 1, "lot.md", 1, 2, sha256_text(text)
    )  # fmt: skip


def example(split: str, evidence: str, answer: str) -> Example:
    return Example(
        f"e-{split}", (Message("user", "Soru?"), Message("assistant", answer)), "tr", split, "p", Rule.INDIVIDUAL,
        QuestionType.FACTUAL, Difficulty.EASY, True, "Soru?", (evidence,), (evidence,),
    )  # fmt: skip


def test_chunks_that_hold_held_out_evidence_or_answers_are_kept_out_of_drills(tmp_path):
    answer = "Bir lot en çok on iki alt lota bölünür."
    chunks = [
        chunk(1, f"{answer} Lot numarası on üç karakterlik koddur."),
        chunk(2, f"Özet: {answer} Bu cümle başka bir sayfada yinelenir."),
        chunk(3, "Makara kartı her makara için bir kez açılır. Boş makara on gün içinde döner."),
        chunk(4, "Sayım fişi depo sorumlusu tarafından açılır. Fark onaylanınca fiş kapanır."),
    ]
    (tmp_path / "docs").mkdir()
    workspace = Workspace(default_config(tmp_path / "docs", [f"workdir={tmp_path / 'work'}"]))
    write_records(workspace.chunks, chunks)
    write_records(workspace.split("valid"), [example("valid", "c-3", "Makara kartı bir kez açılır.")])
    write_records(workspace.split("test"), [example("test", "c-1", answer)])
    assert [each.chunk_id for each in drill_chunks(workspace)] == ["c-4"]
