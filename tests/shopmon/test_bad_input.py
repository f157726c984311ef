"""Bad input is told in one clear message, or its bad rows are put aside; nothing is lost and nothing half-written."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.runs import RunStore
from shopmon import cli
from shopmon.project import STORE_URL_VARIABLE, Project

ROOT = Path(__file__).parents[2]
ROWS = 60
TEXTS = [f"A warm jacket that I wore {n} times last winter." for n in range(ROWS)]
STARS = [1 + n % 5 for n in range(ROWS)]


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    """The working directory, which is a project without a shopmon.toml."""
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def check(capfd):
    """Check files and get the exit code and the document; standard error must be free of tracebacks."""

    def run(*arguments):
        capfd.readouterr()
        code = cli.main(["check", *arguments, "--json"])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return code, json.loads(said.out)

    return run


@pytest.fixture
def refused(check, shop):
    """Check files that cannot be checked, and get the message."""

    def run(*arguments):
        code, document = check(*arguments)
        assert (code, document["status"]) == (2, "error"), document
        assert document["error"]["type"] in ("BatchError", "SuiteError"), document["error"]
        assert document["error"]["advice"]
        runs = shop / ".shopmon" / "runs"
        assert not runs.exists() or not list(runs.iterdir())
        assert recorded() == ["error"]
        return document["error"]["message"]

    return run


def recorded():
    """The statuses of all runs in the store."""
    with RunStore.open(Project.find().store_url) as store:
        return [run.status for run in store.list()]


def parquet(name, **columns):
    pq.write_table(pa.table({"text": TEXTS, "stars": STARS, **columns}), name)
    return name


def csv_lines():
    return [f'"{text}",{stars}\n'.encode() for text, stars in zip(TEXTS, STARS, strict=True)]


def quarantined(document):
    return pq.read_table(document["artifacts"]["quarantine"]).to_pylist()


def rule(document, name):
    return next(e for e in document["expectations"] if e["id"] == name)


def adds_up(document, good):
    """rows = good + quarantined, with every row in one of the two files."""
    aside = pq.read_table(document["artifacts"]["quarantine"]).num_rows if document["quarantined"] else 0
    kept = pq.read_table(good).num_rows
    return document["rows"] == kept + aside and document["quarantined"] == aside


# --- what cannot be read at all -------------------------------------------------------------------------------------


def test_a_missing_path_names_what_is_near(refused):
    parquet("reviews.parquet")
    assert "reviws.parquet does not exist; did you mean reviews.parquet? " in refused("reviws.parquet")


def test_an_empty_file_is_told(refused):
    Path("new.csv").touch()
    assert "new.csv is empty (0 bytes)" in refused("new.csv")


def test_a_file_of_columns_alone_has_no_rows(refused):
    Path("new.csv").write_text("text,stars\n")
    assert "new.csv has 0 rows" in refused("new.csv")


def test_parquet_of_columns_alone_has_no_rows(refused):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), "new.parquet")
    assert "new.parquet has 0 rows" in refused("new.parquet")


def test_truncated_parquet_is_told(refused):
    whole = Path(parquet("new.parquet")).read_bytes()
    Path("new.parquet").write_bytes(whole[: len(whole) // 2])
    assert "new.parquet is truncated parquet" in refused("new.parquet")


def test_a_damaged_footer_is_told(refused):
    whole = Path(parquet("new.parquet")).read_bytes()
    Path("new.parquet").write_bytes(whole[:-40] + b"\xff" * 32 + whole[-8:])
    assert "new.parquet is corrupt parquet" in refused("new.parquet")


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_a_damaged_page_behind_a_sound_footer_is_told(refused, compression):
    parquet("good.parquet")
    pq.write_table(pq.read_table("good.parquet"), "new.parquet", compression=compression)
    whole = bytearray(Path("new.parquet").read_bytes())
    whole[4:40] = b"\xff" * 36
    Path("new.parquet").write_bytes(whole)
    pq.ParquetFile("new.parquet").close()  # the footer is fine
    assert "new.parquet is damaged" in refused("good.parquet", "new.parquet")


def test_text_in_parquet_that_is_not_utf8_is_told(refused):
    whole = Path(parquet("new.parquet")).read_bytes()
    pq.write_table(pq.read_table("new.parquet"), "new.parquet", compression="none", use_dictionary=False)
    whole = Path("new.parquet").read_bytes()
    Path("new.parquet").write_bytes(whole.replace(b"wore 7 times", b"wore \xe9 times"))
    message = refused("new.parquet")
    assert "new.parquet is damaged" in message
    assert "UTF8" in message


def test_text_called_parquet_is_told(refused):
    Path("new.parquet").write_text("text,stars\nfine,5\n")
    assert "is a text file (it begins with 'text,stars') called .parquet" in refused("new.parquet")


def test_a_ragged_csv_is_not_read_as_one_column(refused):
    Path("new.csv").write_text("text;stars\n" + "".join(f"a, b, {n}\n" for n in range(30)))
    assert "new.csv is ragged" in refused("new.csv")


def test_utf16_without_a_mark_is_told_how_to_read_it(refused):
    Path("new.csv").write_bytes("text,stars\nfine,5\n".encode("utf-16-le"))
    assert "--encoding utf-16-le" in refused("new.csv")


def test_latin_1_throughout_is_told_how_to_read_it(refused):
    Path("new.csv").write_bytes(b"text,stars\n" + "Größe passt,5\n".encode("latin-1") * 30)
    message = refused("new.csv")
    assert "none of the 30 records of new.csv could be read" in message
    assert "--encoding cp1252" in message


def test_columns_that_are_no_shop_data_are_listed(refused):
    pq.write_table(pa.table({"alpha": ["x"], "beta": [1]}), "new.parquet")
    message = refused("new.parquet")
    assert "'alpha', 'beta'" in message
    assert '--column "Content=text"' in message


def test_a_nested_text_column_is_told_as_such(refused):
    pq.write_table(pa.table({"text": [[text] for text in TEXTS]}), "new.parquet")
    assert "'text' holds neither text nor numbers: flatten it" in refused("new.parquet")


def test_a_nested_column_cannot_be_given_a_role(refused):
    parquet("new.parquet", words=[["warm"]] * ROWS)
    message = refused("new.parquet", "--column", "words=title")
    assert "column 'words' holds VARCHAR[], which cannot be the title" in message


@pytest.mark.parametrize("names", [("Text", "text"), ("text", "text")])
def test_columns_that_sql_cannot_tell_apart_are_told(refused, names):
    pq.write_table(pa.table([pa.array(TEXTS), pa.array(TEXTS)], names=names), "new.parquet")
    assert "columns 1 and 2 of new.parquet" in refused("new.parquet")


@pytest.mark.parametrize("name", ["__shopmon_row", "__SHOPMON_FILE", "file_row_number", "File_Index"])
def test_columns_that_would_hide_the_address_of_a_row_are_told(refused, name):
    parquet("new.parquet", **{name: list(range(ROWS))})
    message = refused("new.parquet")
    assert repr(name) in message
    assert "Rename it" in message


def test_files_whose_types_disagree_are_told(refused, shop):
    (shop / "batch").mkdir()
    parquet("batch/a.parquet", size=list(range(ROWS)))
    parquet("batch/b.parquet", size=["L"] * ROWS)
    message = refused("batch")
    assert "column 'size' is BIGINT in batch/a.parquet and VARCHAR in batch/b.parquet" in message


def test_files_of_several_formats_are_told(refused, shop):
    (shop / "batch").mkdir()
    parquet("batch/a.parquet")
    Path("batch/b.csv").write_text("text,stars\nfine,5\n")
    assert "the files are of different formats" in refused("batch")


def test_several_files_without_any_row_are_told(refused, shop):
    (shop / "batch").mkdir()
    for name in ("a", "b"):
        Path(f"batch/{name}.csv").write_text("text,stars\n")
    assert "holds no rows" in refused("batch")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("titel=text", "column 'titel' is not in the batch"),
        ("text=txet", "no kind has a role 'txet'. Did you mean 'text'?"),
        ("stars=currency", "Needed are products: title"),
    ],
)
def test_a_mapping_that_does_not_fit_is_told(refused, given, said):
    parquet("new.parquet")
    assert said in refused("new.parquet", "--column", given)


def test_two_columns_cannot_have_one_role(refused):
    parquet("new.parquet", more=TEXTS)
    assert "'text' and 'more' are both given for text" in refused(
        "new.parquet", "--column", "text=text", "--column", "more=text"
    )


@pytest.mark.parametrize(
    ("place", "said"),
    [("nowhere/good.parquet", "does not exist"), (".", "is a folder"), ("new.parquet", "is the batch itself")],
)
def test_good_rows_need_a_place_of_their_own(refused, place, said):
    before = Path(parquet("new.parquet")).read_bytes()
    assert said in refused("new.parquet", "--write-good", place)
    assert Path("new.parquet").read_bytes() == before


def test_a_suite_that_cannot_be_understood_leaves_nothing_behind(refused):
    Path("suite.yaml").write_text(
        "expectations:\n- type: expect_column_values_to_not_be_nul\n  kwargs: {column: text}\n"
    )
    parquet("new.parquet")
    message = refused("new.parquet", "--suite", "suite.yaml", "--write-good", "good.parquet")
    assert "suite.yaml, line 2" in message
    assert not Path("good.parquet").exists()


# --- what can be saved, row by row ----------------------------------------------------------------------------------


def test_a_broken_json_line_goes_to_quarantine_with_its_bytes(check):
    lines = [json.dumps({"text": text, "stars": stars}) for text, stars in zip(TEXTS * 5, STARS * 5, strict=True)]
    lines = [line.replace("A warm", f"A warm {n}") for n, line in enumerate(lines)]
    lines[6] = '{"text": "cut'
    Path("new.jsonl").write_text("\n".join(lines) + "\n")
    code, document = check("new.jsonl", "--write-good", "good.parquet")
    (row,) = quarantined(document)
    assert (code, document["unreadable"]) == (0, 1)
    assert (row["shopmon_row"], row["shopmon_rules"], row["shopmon_raw"].rstrip()) == (
        7,
        ["unreadable"],
        b'{"text": "cut',
    )
    assert row["shopmon_reason"]
    assert adds_up(document, "good.parquet")


def test_a_bad_csv_row_goes_to_quarantine_with_its_bytes(check):
    lines = csv_lines()
    lines[3] = b'"one field too many",5,6,7\n'
    Path("new.csv").write_bytes(b"text,stars\n" + b"".join(lines))
    code, document = check("new.csv", "--write-good", "good.parquet")
    (row,) = quarantined(document)
    assert (row["shopmon_row"], row["shopmon_raw"].rstrip()) == (4, b'"one field too many",5,6,7')
    assert code == 1  # one of sixty is more than the one per cent that may be unreadable
    assert adds_up(document, "good.parquet")


@pytest.mark.parametrize(("raw", "why"), [(b'"caf\xe9",4\n', "utf-8"), (b'"a\0b",4\n', "NUL")])
def test_bytes_that_cannot_be_decoded_go_to_quarantine(check, raw, why):
    lines = csv_lines()
    lines[10] = raw
    Path("new.csv").write_bytes(b"text,stars\n" + b"".join(lines))
    _, document = check("new.csv", "--write-good", "good.parquet")
    (row,) = quarantined(document)
    assert (row["shopmon_row"], row["shopmon_raw"]) == (11, raw)
    assert why.lower() in row["shopmon_reason"].lower()
    assert adds_up(document, "good.parquet")


def test_latin_1_is_read_when_it_is_said(check):
    Path("new.csv").write_bytes(b"text,stars\n" + "".join(f"Größe {n} passt,5\n" for n in range(40)).encode("latin-1"))
    code, document = check("new.csv", "--encoding", "latin-1")
    assert (code, document["unreadable"]) == (0, 0)


def test_a_wrong_delimiter_under_the_right_name_is_noticed(check):
    Path("new.csv").write_bytes(b"text\tstars\n" + b"".join(csv_lines()).replace(b",", b"\t"))
    code, document = check("new.csv")
    assert (code, document["rows"]) == (0, ROWS)
    assert any("separated by" in note for note in document["notes"])


def test_a_packed_csv_is_read(check):
    with gzip.open("new.csv.gz", "wb") as file:
        file.write(b"text,stars\n" + b"".join(csv_lines()))
    assert check("new.csv.gz")[1]["rows"] == ROWS


# --- odd, but fit to be read ----------------------------------------------------------------------------------------


def test_nested_columns_elsewhere_are_carried_along_and_told(check):
    parquet("new.parquet", tags=[["a"]] * ROWS, sizes=[{"eu": 42}] * ROWS, picture=[b"\x00\xff"] * ROWS)
    code, document = check("new.parquet", "--write-good", "good.parquet")
    assert code == 0
    assert any("no rule looks into 'tags' (VARCHAR[])" in note for note in document["notes"])
    assert rule(document, "column-empty:tags")["outcome"] == "passed"
    good = pq.read_table("good.parquet").to_pylist()[0]
    assert (good["tags"], good["sizes"], good["picture"]) == (["a"], {"eu": 42}, b"\x00\xff")


def test_a_rule_about_a_nested_column_says_that_it_cannot_be_asked(check):
    parquet("new.parquet", tags=[["a"]] * ROWS)
    Path("suite.yaml").write_text(
        "expectations:\n- type: expect_column_values_to_be_in_set\n  kwargs: {column: tags, value_set: [a]}\n"
        "- type: expect_column_values_to_not_be_null\n  kwargs: {column: tags}\n"
    )
    code, document = check("new.parquet", "--suite", "suite.yaml")
    assert code == 1
    first, second = document["expectations"]
    assert (first["outcome"], second["outcome"]) == ("error", "passed")
    assert "'tags' holds VARCHAR[]" in first["reason"]


@pytest.mark.parametrize("nothing", [pa.nulls(ROWS), pa.nulls(ROWS, pa.string()), pa.array([float("nan")] * ROWS)])
def test_an_all_null_column_is_told_and_fails_nothing_by_itself(check, nothing):
    parquet("new.parquet", remark=nothing)
    code, document = check("new.parquet")
    assert (code, rule(document, "column-empty:remark")["outcome"]) == (0, "failed")


def test_a_text_column_without_any_text_fails(check):
    pq.write_table(pa.table({"text": pa.nulls(ROWS), "stars": STARS}), "new.parquet")
    code, document = check("new.parquet")
    assert (code, document["quarantined"]) == (1, ROWS)
    assert rule(document, "text-missing")["unexpected"] == ROWS
    assert rule(document, "text-blank")["outcome"] == "not examined"


@pytest.mark.parametrize(
    "name",
    [
        "select", "order", "group by", 'say "hi"', "it's", "a`b", "x; drop table batch; --", "new\nline", "tab\tbed",
        "$b0", "{keys}", "%s", "c0", "c2", "r1", "c0_ascii", "c0_plain", "rules", "flags", "file", "row", "rowid",
        "filename", "text_as_written", "shopmon_file", "shopmon_rules", "SHOPMON_RAW", "é", "👟", " padded ",
    ],
)  # fmt: skip
def test_a_column_may_be_called_anything_and_keeps_its_values(check, name):
    marks = [f"mark {n}" for n in range(ROWS)]
    texts = [None if n == 7 else text for n, text in enumerate(TEXTS)]
    pq.write_table(pa.table({"text": texts, name: marks, "stars": STARS}), "new.parquet")
    _, document = check("new.parquet", "--write-good", "good.parquet")
    (row,) = quarantined(document)
    kept = f"{name} (of the file)" if name.lower().startswith("shopmon_") else name
    assert (row["shopmon_row"], row[kept], row["stars"]) == (8, "mark 7", STARS[7])
    assert row["shopmon_rules"] == ["text-missing"]
    good = pq.read_table("good.parquet")
    assert good.column_names == ["text", name, "stars"]
    assert good[name].to_pylist() == marks[:7] + marks[8:]


def test_a_column_called_like_a_role_that_another_column_has_is_told_apart(check):
    other = [None if n < 59 else "x" for n in range(ROWS)]
    pq.write_table(pa.table({"Inhalt": TEXTS, "text": other}), "new.parquet")
    _, document = check("new.parquet", "--kind", "reviews", "--column", "Inhalt=text")
    assert document["columns"]["text"] == "Inhalt"
    assert rule(document, "text-missing")["unexpected"] == 0
    ids = [e["id"] for e in document["expectations"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "folder", ["brand=nike", "it's", 'say "hi"', "[a-z]*", "x; --", "Größe 👟", "new\nline", "{keys}$b0"]
)
def test_a_folder_may_be_called_anything(check, shop, folder):
    (shop / folder).mkdir()
    texts = [None, *TEXTS[1:]]
    pq.write_table(pa.table({"text": texts, "stars": STARS}), shop / folder / "new 100%.parquet")
    code, document = check(str(Path(folder) / "new 100%.parquet"), "--write-good", str(Path(folder) / "good.parquet"))
    assert (code, document["rows"], document["quarantined"]) == (1, ROWS, 1)
    (row,) = quarantined(document)
    assert row["shopmon_file"] == str(Path(folder) / "new 100%.parquet")
    assert "brand" not in row  # a folder's name is no column
    assert adds_up(document, shop / folder / "good.parquet")


def test_the_parts_of_a_partitioned_folder_keep_their_names_and_row_numbers(check, shop):
    for number, brand in enumerate(["acme", "nike", "none"]):
        (shop / "batch" / f"brand={brand}").mkdir(parents=True)
        texts = [None if n == number else f"{text} {brand}" for n, text in enumerate(TEXTS)]
        table = pa.table({"text": pa.array(texts), "stars": STARS})
        pq.write_table(table.slice(0, 0) if brand == "none" else table, f"batch/brand={brand}/part-0.parquet")
    Path("batch/_SUCCESS").touch()
    _, document = check("batch", "--write-good", "good.parquet")
    addresses = [(row["shopmon_file"], row["shopmon_row"]) for row in quarantined(document)]
    assert addresses == [("batch/brand=acme/part-0.parquet", 1), ("batch/brand=nike/part-0.parquet", 2)]
    assert document["rows"] == 2 * ROWS
    assert adds_up(document, "good.parquet")


def test_numbers_in_quarantine_are_those_of_the_records_in_the_file(check):
    lines = csv_lines()
    lines[20] = b'"two\nlines in one record",9\n'
    lines[30] = b"\n"
    lines[40] = b'"stars that cannot be",9\n'
    Path("new.csv").write_bytes(b"text,stars\n" + b"".join(lines))
    _, document = check("new.csv")
    found = {row["shopmon_row"]: row["text"] for row in quarantined(document)}
    assert found == {21: "two\nlines in one record", 40: "stars that cannot be"}  # a blank line is no record


def test_a_text_of_fifty_megabytes_is_checked_in_reasonable_time(check):
    begun = time.monotonic()
    huge = "A word or two about shoes. " * 2_000_000
    frame = pd.DataFrame({"text": [*TEXTS, huge], "stars": [*STARS, 9]})
    frame.to_parquet("new.parquet")
    code, document = check("new.parquet")
    assert code == 1
    row = next(row for row in quarantined(document) if row["shopmon_row"] == ROWS + 1)
    assert {"stars-impossible", "text-too-long"} <= set(row["shopmon_rules"])
    assert len(row["text"]) == len(huge)
    assert len(json.dumps(document)) < 100_000
    assert time.monotonic() - begun < 60


def test_two_thousand_columns_are_checked_and_what_was_not_asked_is_told(check):
    extra = {f"column {n}": [f"v{(n * m) % 7}" for m in range(20)] for n in range(2000)}
    pq.write_table(pa.table({"text": [*TEXTS[:19], None], "stars": STARS[:20], **extra}), "new.parquet")
    code, document = check("new.parquet", "--write-good", "good.parquet")
    assert code == 1
    asked = rule(document, "column-empty")
    assert (asked["outcome"], asked["severity"]) == ("error", "info")
    assert "2,002 columns" in asked["reason"]
    assert adds_up(document, "good.parquet")
    assert pq.read_metadata("good.parquet").num_columns == 2002


def test_several_hundred_text_columns_are_each_asked_about(check):
    extra = {f"column {n}": [f"v{(n * m) % 7} " if n == 5 else f"v{m}" for m in range(20)] for n in range(150)}
    pq.write_table(pa.table({"text": TEXTS[:20], "stars": STARS[:20], **extra}), "new.parquet")
    _, document = check("new.parquet")
    around = [e for e in document["expectations"] if e["id"].startswith("space-around:")]
    assert len(around) == 151
    assert [e["id"] for e in around if e["unexpected"]] == ["space-around:column 5"]


# --- a process of its own -------------------------------------------------------------------------------------------


def process(*arguments, **changes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-m", "shopmon", *arguments],
        env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("damaged", [False, True])
def test_nothing_is_said_of_leaks_at_the_end(damaged):
    """Regular expressions and our own tests of text are functions that DuckDB holds: they must be let go of."""
    lines = [*csv_lines(), "größer als gedacht,5\n".encode(), b'"caf\xe9",4\n']
    Path("new.csv").write_bytes(b"text,stars\n" + b"".join(lines))
    parquet("new.parquet")
    if damaged:
        whole = bytearray(Path("new.parquet").read_bytes())
        whole[4:40] = b"\xff" * 36
        Path("new.parquet").write_bytes(whole)
    running = process("check", "new.parquet" if damaged else "new.csv")
    _, said = running.communicate(timeout=120)
    assert running.returncode == (2 if damaged else 1), said
    for leak in ("nanobind", "leak", "ResourceWarning", "Traceback", "Exception ignored"):
        assert leak not in said, said


def test_an_interrupted_check_leaves_nothing_behind(shop):
    frame = pd.DataFrame({"text": [f"{n} {text}" for n in range(4000) for text in TEXTS[:50]]})
    frame.to_csv("new.csv", index=False)
    running = process("check", "new.csv", "--write-good", "good.parquet")
    staged = shop / ".shopmon" / "runs"
    waited = time.monotonic()
    while not (staged.exists() and list(staged.iterdir())) and time.monotonic() - waited < 60:
        time.sleep(0.05)
    time.sleep(0.5)  # it is at work in there now
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert list(staged.iterdir()) == []
    assert not Path("good.parquet").exists()
    assert [path.name for path in shop.iterdir() if path.name.startswith(".partial")] == []
