"""Text that stands for the language in general: from Python's own documentation, or from a file."""

import json
import sys

import pytest

from expectations.errors import ShopmonError
from retrain import general_text as module
from retrain.general_text import FEWEST_WORDS, general_text

SENTENCE = "the river runs behind the old house number {} in the valley"


def passages(count):
    return [SENTENCE.format(number) for number in range(count)]


@pytest.fixture(scope="module")
def from_python():
    return general_text(most=2_000)


def test_python_s_own_documentation_is_enough_prose(from_python):
    assert len(from_python.passages) == 2_000
    assert "Python" in from_python.source
    letters = [sum(c.isalpha() or c == " " for c in passage) / len(passage) for passage in from_python.passages]
    assert min(letters) >= 0.85
    assert all(len(passage.split()) >= FEWEST_WORDS and ">>>" not in passage for passage in from_python.passages)


def test_no_module_is_imported_for_its_documentation(from_python):
    assert from_python.passages
    assert not {"antigravity", "this", "turtledemo"} & set(sys.modules)


def test_the_same_text_gives_the_same_passages_in_the_same_order(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(passages(150)), encoding="utf-8")
    other = tmp_path / "turned.md"
    other.write_text("\n\n".join(reversed(passages(150))), encoding="utf-8")
    assert general_text(file).passages == general_text(other).passages
    assert general_text(file).sha256 == general_text(other).sha256


def test_fewer_passages_are_the_first_of_more_and_no_beginning_of_the_file(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(passages(400)), encoding="utf-8")
    some, more = general_text(file, most=120), general_text(file, most=200)
    assert more.passages[:120] == some.passages
    assert some.sha256 != more.sha256
    assert set(some.passages) != set(passages(120))


def test_asking_for_few_passages_of_a_large_file_is_no_lack_of_text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(passages(400)), encoding="utf-8")
    assert len(general_text(file, most=50).passages) == 50


def test_a_file_with_too_little_text_is_told_with_its_number(tmp_path):
    file = tmp_path / "short.txt"
    file.write_text("\n\n".join(passages(99)), encoding="utf-8")
    with pytest.raises(ShopmonError, match="holds 99 passages of general text; at least 100"):
        general_text(file)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ShopmonError, match="does not exist"):
        general_text(tmp_path / "none.txt")


def test_a_text_file_in_another_encoding_is_told(tmp_path):
    file = tmp_path / "latin.txt"
    file.write_bytes("\n\n".join(passages(200)).replace("river", "fl\u00fc\u00dfchen").encode("latin-1"))
    with pytest.raises(ShopmonError, match="cannot be read as text"):
        general_text(file)


def test_headings_and_repetitions_are_no_passages(tmp_path):
    file = tmp_path / "text.md"
    parts = [part for text in passages(120) for part in ("A heading", text, text)]
    file.write_text("\ufeff" + "\r\n\r\n".join(parts), encoding="utf-8")
    assert sorted(general_text(file).passages) == sorted(passages(120))


def test_each_row_of_a_table_is_a_passage(tmp_path):
    file = tmp_path / "reviews.jsonl"
    rows = [{"review_text": text, "rating": 5} for text in [*passages(130), "too short"]]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert sorted(general_text(file).passages) == sorted(passages(130))


def test_a_source_file_that_cannot_be_parsed_costs_only_its_own_text(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def (", encoding="utf-8")
    (tmp_path / "latin.py").write_bytes(b'"""caf\xe9"""')
    said = "\n".join(f'def f{at}():\n    """{text}"""' for at, text in enumerate(passages(110)))
    (tmp_path / "fine.py").write_text(said, encoding="utf-8")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "other.py").write_text('"""a text of the tests that nobody should ever read here"""')
    monkeypatch.setattr(module.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(module, "_PROSE", 0.8)
    assert sorted(general_text().passages) == sorted(passages(110))
