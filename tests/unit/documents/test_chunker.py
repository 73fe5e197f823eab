"""Where pages are cut, and what is never cut."""

from __future__ import annotations

from pathlib import Path

from groundtune.config import DocumentsConfig
from groundtune.documents import ingest
from groundtune.types import Chunk


def cut(folder: Path, text: str, target: int = 200) -> list[Chunk]:
    (folder / "a.md").write_text(text, encoding="utf-8")
    return ingest(DocumentsConfig(languages=("en",), chunk_tokens=target), folder).chunks


def words(tokens: int) -> str:
    """A line of about `tokens` estimated tokens (4 bytes each)."""
    return ("abc " * tokens).strip()


def headings(chunks: list[Chunk]) -> list[str]:
    return [chunk.section_heading for chunk in chunks]


def test_one_section_is_one_chunk_up_to_half_over_the_target(tmp_path: Path) -> None:
    chunks = cut(tmp_path, f"# A\n\n{words(150)}\n\n{words(150)}\n\n## B\n\n{words(90)}\n\n### C\n\n{words(60)}\n")
    assert headings(chunks) == ["A", "B", "C"]
    assert [chunk.depth for chunk in chunks] == [1, 2, 3]
    assert chunks[2].breadcrumb[-3:] == ("A", "B", "C")


def test_long_section_is_cut_between_blocks_into_even_parts_with_its_heading_first(tmp_path: Path) -> None:
    chunks = cut(tmp_path, "# A\n\n" + "\n\n".join(words(50) for _ in range(12)))
    assert headings(chunks) == ["A", "A", "A"]
    assert chunks[0].text.startswith("# A\n\n")
    assert all(150 <= chunk.token_count <= 260 for chunk in chunks)


def test_heading_without_text_joins_what_follows(tmp_path: Path) -> None:
    chunks = cut(tmp_path, f"# A\n\n## B\n\n### C\n\n{words(100)}\n\n## D\n")
    assert headings(chunks) == ["C"]
    assert chunks[0].text.startswith("# A\n\n## B\n\n### C")
    assert chunks[0].text.endswith("## D")


def test_page_of_headings_only_is_cut_too(tmp_path: Path) -> None:
    chunks = cut(tmp_path, "\n".join(f"## Heading number {number}" for number in range(400)))
    assert len(chunks) > 5
    assert max(chunk.token_count for chunk in chunks) < 600


def test_tiny_sections_join_a_neighbour_of_their_branch_and_small_deep_ones_their_siblings(tmp_path: Path) -> None:
    tiny = cut(tmp_path, f"# A\n\n{words(10)}\n\n## B\n\n{words(100)}\n\n## C\n\n{words(10)}\n\n## D\n\n{words(60)}\n")
    assert headings(tiny) == ["B", "D"]
    deep = cut(
        tmp_path, f"### A\n\n{words(60)}\n\n#### B\n\n{words(60)}\n\n#### C\n\n{words(60)}\n\n### D\n\n{words(60)}\n"
    )
    assert [chunk.text.count("#### ") for chunk in deep] == [1, 1, 0]


def test_hash_in_code_list_or_quotation_is_no_heading(tmp_path: Path) -> None:
    text = f"# A\n\n{words(60)}\n\n```sh\n# one\n## two\n```\n\n- x\n\n  # three\n\n> # four\n\nSetext\n------\n\n{words(60)}\n"
    assert headings(cut(tmp_path, text)) == ["A", "Setext"]


def test_table_and_code_are_never_cut(tmp_path: Path) -> None:
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {words(20)} | x |" for _ in range(40))
    code = "```sql\n" + "\n\n".join(words(20) for _ in range(40)) + "\n```"
    html = "<table>\n\n" + "\n\n".join(f"<tr><td>{words(20)}</td></tr>" for _ in range(40)) + "\n\n</table>"
    chunks = cut(tmp_path, f"# A\n\nlead:\n\n{table}\n\n{words(120)}\n\n{code}\n\n{words(120)}\n\n{html}\n")
    for whole in (table, code, html):
        assert sum(whole in chunk.text for chunk in chunks) == 1
    assert [chunk.has_table for chunk in chunks].count(True) == 2
    assert [chunk.has_code for chunk in chunks].count(True) == 1


def test_list_is_cut_between_items_and_a_huge_item_between_its_blocks(tmp_path: Path) -> None:
    items = [f"{number}. {words(30)}\n   {words(10)}" for number in range(1, 20)]
    chunks = cut(tmp_path, "# A\n\n" + "\n".join(items))
    assert len(chunks) > 2
    assert all(any(item in chunk.text for chunk in chunks) for item in items)
    code = "   ```\n   x\n\n   y\n   ```"
    nested = cut(tmp_path, "# A\n\n1. top\n\n" + "\n\n".join([f"   {words(120)}"] * 4 + [code]))
    assert len(nested) > 1
    assert [chunk.has_code for chunk in nested][-1]
    assert sum(code in chunk.text for chunk in nested) == 1


def test_long_paragraph_is_cut_only_after_lines_that_end_a_sentence(tmp_path: Path) -> None:
    lines = [words(60), words(60) + "."] * 4
    chunks = cut(tmp_path, "\n".join(lines))
    assert len(chunks) == 2
    assert all(chunk.text.endswith(".") for chunk in chunks)
    assert len(cut(tmp_path, words(1000))) == 1


def test_line_that_leads_to_a_list_stays_with_it(tmp_path: Path) -> None:
    items = "\n".join(f"- {words(40)}" for _ in range(4))
    chunks = cut(tmp_path, f"# A\n\n{words(150)}\n\nThese are:\n\n{items}\n")
    assert [chunk for chunk in chunks if "These are:\n\n- " in chunk.text]


def test_admonition_body_is_text_and_not_code(tmp_path: Path) -> None:
    chunk = cut(tmp_path, '# A\n\n!!! tip "T"\n\n    indented body\n\n    second\n')[0]
    assert not chunk.has_code
    assert "    indented body" in chunk.text
    assert cut(tmp_path, '# A\n\n=== "Tab"\n\n    ```\n    x\n    ```\n')[0].has_code


def test_tokens_can_be_counted_by_a_tokenizer(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.md").write_text("one two three", encoding="utf-8")
    config = DocumentsConfig(languages=("en",), tokenizer=str(tmp_path))
    assert ingest(config, tmp_path).chunks[0].token_count == 3
