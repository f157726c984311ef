from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from monitor import retraining_set
from monitor.retraining_set import ROWS, Added, Labelled, RetrainingSet, text_hash, text_hashes

RUN_ID = "20261120-195801-a3f9c1"


def rows(texts: Sequence[str | None], **constant: Any) -> pa.Table:
    """Rows as edge cases would choose them; `constant` names a column's one value, or its values as a list."""
    values: dict[str, Any] = {
        "kind": "reviews",
        "role": "positive",
        "batch": "3f2a",
        "file": "new.csv",
        **constant,
    }
    columns = {name: value if isinstance(value, list) else [value] * len(texts) for name, value in values.items()}
    columns.setdefault("reasons", [["praises-brand"]] * len(texts))
    columns.setdefault("row", list(range(1, len(texts) + 1)))
    return pa.table({"text": pa.array(texts, pa.string()), **columns})


def texts_in(gathered: RetrainingSet) -> list[str]:
    column: list[str] = gathered.read(["text"]).read_all().column("text").to_pylist()
    return column


def labels_in(gathered: RetrainingSet) -> dict[str, str | None]:
    read = gathered.read(["text", "label"]).read_all()
    return dict(zip(read.column("text").to_pylist(), read.column("label").to_pylist(), strict=True))


def label(gathered: RetrainingSet, labels: Mapping[str, str | None], kind: str = "reviews") -> Labelled:
    table = pa.table({"id": list(labels), "label": pa.array(list(labels.values()), pa.string())})
    return gathered.add_labels(table, kind=kind, run_id=RUN_ID, source="labels.csv")


@pytest.fixture
def gathered(tmp_path: Path) -> RetrainingSet:
    return RetrainingSet(tmp_path / ".shopmon" / "retraining", wait_seconds=30)


# What is kept


def test_a_set_that_was_never_added_to_is_empty(gathered: RetrainingSet) -> None:
    assert gathered.rows() == 0
    assert gathered.by_role() == {}
    assert len(gathered.known_hashes("reviews")) == 0
    assert texts_in(gathered) == []
    assert not gathered.folder.exists()


def test_a_row_is_read_back_as_it_was_added(gathered: RetrainingSet) -> None:
    added = rows(["Warm.", "Cold."], id=["a", None], reasons=[["praise", "short"], []], row=[7, 2**40])
    gathered.add(added, RUN_ID)
    read = gathered.read().read_all()
    assert read.schema.names == [*ROWS.names, "label"]
    for name in added.column_names:
        assert read.column(name).to_pylist() == added.column(name).to_pylist()
    assert read.column("text_hash").to_pylist() == [hashlib.sha256(text).hexdigest() for text in (b"Warm.", b"Cold.")]
    assert set(read.column("run_id").to_pylist()) == {RUN_ID}


def test_a_text_is_kept_once_and_as_it_came_first(gathered: RetrainingSet) -> None:
    first = gathered.add(rows(["Warm.", "Warm.", "Cold."], reasons=[["a"], ["b"], ["c"]]), "1")
    again = gathered.add(rows(["Cold.", "New."], role="negative", reasons=[["d"], ["e"]]), "2")
    assert first == Added(new=2, known=1, without_text=0, total=2)
    assert again == Added(new=1, known=1, without_text=0, total=3)
    read = gathered.read(["text", "role", "reasons", "run_id"]).read_all().to_pylist()
    assert read == [
        {"text": "Warm.", "role": "positive", "reasons": ["a"], "run_id": "1"},
        {"text": "Cold.", "role": "positive", "reasons": ["c"], "run_id": "1"},
        {"text": "New.", "role": "negative", "reasons": ["e"], "run_id": "2"},
    ]


def test_the_same_file_twice_adds_nothing_and_leaves_no_part(gathered: RetrainingSet) -> None:
    gathered.add(rows(["Warm.", "Cold."]), "1")
    before = {part: part.read_bytes() for part in gathered.parts}
    assert gathered.add(rows(["Warm.", "Cold."]), "2") == Added(new=0, known=2, without_text=0, total=2)
    assert {part: part.read_bytes() for part in gathered.parts} == before


def test_a_text_may_stand_in_the_set_once_for_each_kind(gathered: RetrainingSet) -> None:
    gathered.add(rows(["Shoes", "Shoes"], kind=["products", "queries"]), RUN_ID)
    assert gathered.add(rows(["Shoes"], kind="reviews"), RUN_ID).new == 1
    assert gathered.rows() == 3
    assert gathered.rows("queries") == 1
    assert gathered.rows("relevance") == 0
    assert gathered.known_hashes("products").to_pylist() == [text_hash("Shoes")]


def test_two_ways_to_write_the_same_letters_are_one_text(gathered: RetrainingSet) -> None:
    composed, taken_apart = "Café", unicodedata.normalize("NFD", "Café")
    assert composed != taken_apart
    assert gathered.add(rows([composed, taken_apart, "café"]), RUN_ID).new == 2
    assert texts_in(gathered) == [composed, "café"]


@pytest.mark.parametrize("blank", [None, "", " \t\r\n", "\u00a0\u2003"])
def test_a_row_without_text_is_left_out_and_counted(gathered: RetrainingSet, blank: str | None) -> None:
    assert gathered.add(rows([blank, "Warm.", blank]), RUN_ID) == Added(new=1, known=0, without_text=2, total=1)
    assert texts_in(gathered) == ["Warm."]


def test_roles_are_counted_for_each_kind(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a", "b", "c"], role=["negative", "positive", "positive"]), "1")
    gathered.add(rows(["d"], role="negative", kind="queries"), "2")
    assert gathered.by_role() == {"positive": 2, "negative": 2}
    assert gathered.by_role("queries") == {"negative": 1}
    assert list(gathered.by_role("reviews")) == ["positive", "negative"]


some_texts = st.sampled_from(["a", "A", "\u00e9", "e\u0301", "", " "]) | st.text(
    st.characters(exclude_categories=["Z", "C"]), max_size=3
)
some_rows = st.lists(st.tuples(st.sampled_from(["reviews", "queries"]), some_texts))


@given(st.lists(some_rows, max_size=6))
@settings(max_examples=50, deadline=None)
def test_any_sequence_of_adds_gives_each_kind_and_text_once(adds: list[list[tuple[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gathered = RetrainingSet(Path(folder))
        told = [gathered.add(rows([t for _, t in a], kind=[k for k, _ in a]), str(i)) for i, a in enumerate(adds)]
        expected = {(k, text_hash(t)) for a in adds for k, t in a if t.strip()}
        read = gathered.read(["kind", "text_hash"]).read_all()
        stored = list(zip(read.column(0).to_pylist(), read.column(1).to_pylist(), strict=True))
        assert len(stored) == len(set(stored))
        assert set(stored) == expected
        assert [t.new + t.known + t.without_text for t in told] == [len(a) for a in adds]
        assert sum(t.new for t in told) == len(stored) == (told[-1].total if told else 0)


@given(st.text())
def test_a_column_is_hashed_as_its_texts_are(text: str) -> None:
    assert text_hashes(pa.array([text, None])).to_pylist() == [text_hash(text), None]


# How it is read


def test_duckdb_reads_the_set_as_a_table(gathered: RetrainingSet) -> None:
    gathered.add(rows(["Warm.", "Cold."], id=["a", "b"]), RUN_ID)
    label(gathered, {"a": "5"})
    with duckdb.connect() as connection:
        connection.register("gathered", gathered.read(["text", "label"]))
        assert connection.execute("select text from gathered where label = '5'").fetchall() == [("Warm.",)]


def test_one_kind_is_read_alone(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a", "b"], kind=["reviews", "queries"]), RUN_ID)
    assert gathered.read(["text"], kind="queries").read_all().to_pydict() == {"text": ["b"]}


def test_what_is_added_later_is_not_in_a_stream_that_was_opened_before(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a"]), "1")
    stream = gathered.read(["text"])
    gathered.add(rows(["b"]), "2")
    assert stream.read_all().num_rows == 1


def test_rows_come_in_the_order_in_which_they_were_added(gathered: RetrainingSet) -> None:
    for number in range(12):  # the names of parts go from one digit to two
        gathered.add(rows([f"{number} {row}" for row in range(3)]), f"{12 - number}")
    assert texts_in(gathered) == [f"{number} {row}" for number in range(12) for row in range(3)]


def test_a_column_that_is_not_there_is_refused_by_name(gathered: RetrainingSet) -> None:
    with pytest.raises(ValueError, match=r"no column 'stars'; it has text, kind"):
        gathered.read(["stars"])


@pytest.mark.parametrize("run_id", ["", "../x", ".hidden", "a/b"])
def test_a_run_id_that_is_no_plain_name_is_refused(gathered: RetrainingSet, run_id: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        gathered.add(rows(["a"]), run_id)
    with pytest.raises(ValueError, match="plain name"):
        gathered.add_labels(pa.table({"id": ["a"], "label": ["b"]}), kind="reviews", run_id=run_id)


def test_rows_without_what_they_need_are_refused(gathered: RetrainingSet) -> None:
    with pytest.raises(ValueError, match="need the column 'batch'"):
        gathered.add(rows(["a"]).drop_columns("batch"), RUN_ID)
    with pytest.raises(ValueError, match="every row needs a kind; 1 have none"):
        gathered.add(rows(["a"], kind=[None]), RUN_ID)
    with pytest.raises(ValueError, match="need the columns 'label' and 'id'"):
        gathered.add_labels(pa.table({"id": ["a"]}), kind="reviews", run_id=RUN_ID)


# Labels


def test_labels_join_by_id_and_say_what_became_of_them(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a", "b", "c"], id=["1", "2", "2"]), RUN_ID)
    told = label(gathered, {"1": "good", "2": "bad", "9": "good", "8": None})
    assert told == Labelled(
        new=3, changed=0, known=0, repeated=0, unusable=1, conflicting=0, joined=3, unknown=1, ambiguous=1
    )
    assert labels_in(gathered) == {"a": "good", "b": "bad", "c": "bad"}


def test_a_label_that_comes_before_its_row_waits_for_it(gathered: RetrainingSet) -> None:
    assert label(gathered, {"1": "good"}).unknown == 1
    gathered.add(rows(["a"], id=["1"]), RUN_ID)
    assert labels_in(gathered) == {"a": "good"}


def test_a_label_is_for_rows_of_its_kind_only(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a", "b"], kind=["reviews", "queries"], id=["1", "1"]), RUN_ID)
    assert label(gathered, {"1": "good"}, kind="queries").joined == 1
    assert labels_in(gathered) == {"a": None, "b": "good"}


def test_the_later_label_wins_whenever_it_was_added(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a"], id=["1"]), RUN_ID)
    for given_label in ("good", "bad", "good"):
        told = label(gathered, {"1": given_label})
        assert labels_in(gathered) == {"a": given_label}
    assert (told.new, told.changed, told.known) == (0, 1, 0)


def test_the_last_of_several_labels_in_one_table_counts_and_the_conflict_is_told(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a", "b"], id=["1", "2"]), RUN_ID)
    table = pa.table({"id": ["1", "2", "1", "2"], "label": ["good", "fine", "bad", "fine"]})
    told = gathered.add_labels(table, kind="reviews", run_id=RUN_ID)
    assert (told.new, told.repeated, told.conflicting) == (2, 2, 1)
    assert labels_in(gathered) == {"a": "bad", "b": "fine"}


def test_the_same_labels_twice_add_nothing(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a"], id=["1"]), RUN_ID)
    label(gathered, {"1": "good", "9": "bad"})
    parts = sorted((gathered.folder / "labels").iterdir())
    again = label(gathered, {"1": "good", "9": "bad"})
    assert (again.new, again.changed, again.known, again.joined, again.unknown) == (0, 0, 2, 1, 1)
    assert sorted((gathered.folder / "labels").iterdir()) == parts


def test_labels_may_join_by_the_text_and_the_later_of_both_ways_wins(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a"], id=["1"]), RUN_ID)
    by_text = pa.table({"text_hash": [text_hash("a")], "label": ["by text"]})
    label(gathered, {"1": "by id"})
    assert gathered.add_labels(by_text, kind="reviews", run_id=RUN_ID).joined == 1
    assert labels_in(gathered) == {"a": "by text"}
    label(gathered, {"1": "by id again"})
    assert labels_in(gathered) == {"a": "by id again"}


def test_labels_that_people_decided_win_over_those_that_were_added_whenever_that_was(gathered: RetrainingSet) -> None:
    gathered.add(rows(["Warm.", "Cold.", "Red."], id=["a", "b", "c"]), RUN_ID)
    gathered.add(rows(["Warm."], kind="queries", id=["q"]), RUN_ID)
    label(gathered, {"a": "1", "b": "2"})
    decided = {("reviews", text_hash("Warm.")): "5", ("reviews", text_hash("Red.")): "4", ("reviews", "00"): "3"}
    label(gathered, {"a": "1"})
    read = gathered.read(["kind", "text", "label"], labels=decided).read_all().to_pylist()
    assert [tuple(row.values()) for row in read] == [
        ("reviews", "Warm.", "5"),
        ("reviews", "Cold.", "2"),
        ("reviews", "Red.", "4"),
        ("queries", "Warm.", None),
    ]
    assert labels_in(gathered)["Cold."] == "2"
    assert gathered.read(["label"], labels={}).read_all()["label"].to_pylist() == ["1", "2", None, None]
    assert gathered.read(["text"], kind="queries", labels=decided).read_all().to_pylist() == [{"text": "Warm."}]


def test_ids_and_labels_that_are_numbers_are_read_as_text(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a"], id=["7"]), RUN_ID)
    gathered.add_labels(pa.table({"id": [7], "label": [5]}), kind="reviews", run_id=RUN_ID)
    assert labels_in(gathered) == {"a": "5"}


given_labels = st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("xy")), max_size=5)


@given(st.lists(given_labels, max_size=5))
@settings(max_examples=40, deadline=None)
def test_any_sequence_of_labels_gives_each_id_its_last(adds: list[list[tuple[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gathered = RetrainingSet(Path(folder))
        gathered.add(rows(["1", "2", "3"], id=["1", "2", "3"]), RUN_ID)
        for given_now in adds:
            table = pa.table(
                {n: pa.array([g[i] for g in given_now], pa.string()) for i, n in enumerate(["id", "label"])}
            )
            told = gathered.add_labels(table, kind="reviews", run_id=RUN_ID)
            assert told.new + told.changed + told.known + told.repeated == len(given_now)
        last = dict(pair for given_now in adds for pair in given_now)
        assert labels_in(gathered) == {text: last.get(text) for text in "123"}


# What can go wrong


def test_a_damaged_part_is_named(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a", "b"]), "1")
    gathered.add(rows(["c"]), "2")
    part = gathered.parts[1]
    part.write_bytes(part.read_bytes()[:-20])
    for use in (lambda: gathered.add(rows(["d"]), "3"), gathered.rows, lambda: gathered.read().read_all()):
        with pytest.raises(ShopmonError, match=f"{part.name} of the retraining set cannot be read.*Restore it"):
            use()
    assert len(gathered.parts) == 2


def test_one_changed_byte_of_a_part_is_noticed(gathered: RetrainingSet) -> None:
    gathered.add(rows([f"text {i}" for i in range(500)]), RUN_ID)
    (part,) = gathered.parts
    group = pq.read_metadata(part).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    column = next(column for column in columns if column.path_in_schema == "text_hash")
    data = bytearray(part.read_bytes())
    data[column.dictionary_page_offset + column.total_compressed_size // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(ShopmonError, match=f"{part.name} of the retraining set cannot be read"):
        gathered.known_hashes("reviews")


def test_a_parquet_file_that_is_no_part_is_named_and_other_files_are_not_looked_at(gathered: RetrainingSet) -> None:
    gathered.add(rows(["a"]), RUN_ID)
    folder = gathered.parts[0].parent
    (folder / "notes.parquet").write_text("no part: it has no number")
    assert gathered.rows() == 1
    pq.write_table(pa.table({"text": ["b"]}), folder / "000002-x.parquet")
    with pytest.raises(ShopmonError, match="its columns are not those of a part"):
        gathered.rows()


def test_a_damaged_part_with_labels_is_named(gathered: RetrainingSet) -> None:
    label(gathered, {"1": "good"})
    (part,) = (gathered.folder / "labels").iterdir()
    part.write_bytes(b"")
    with pytest.raises(ShopmonError, match=r"000001-.*\.parquet of the retraining set cannot be read"):
        label(gathered, {"1": "good"})


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "retraining").write_text("a file")
    with pytest.raises(ShopmonError, match=r"retraining.* cannot be written"):
        RetrainingSet(tmp_path / "retraining").add(rows(["a"]), RUN_ID)


@contextmanager
def stepped_down() -> Iterator[None]:
    """As a user who owns nothing here, for root as well."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder may not be entered by others
        Path(name).chmod(0o555)
        with stepped_down(), pytest.raises(ShopmonError, match=r"cannot be written: Permission denied.*Let this user"):
            RetrainingSet(Path(name) / "retraining").add(rows(["a"]), RUN_ID)
        Path(name).chmod(0o755)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_a_full_disk_is_told_and_adds_nothing(gathered: RetrainingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    gathered.add(rows(["a"]), "1")
    write_table = pq.write_table

    def to_a_full_disk(table: pa.Table, file: Any, **options: Any) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            write_table(table, full, **options)

    monkeypatch.setattr(pq, "write_table", to_a_full_disk)
    with pytest.raises(ShopmonError, match=r"the disk is full.*Free some space"):
        gathered.add(rows(["b"]), "2")
    monkeypatch.undo()
    assert texts_in(gathered) == ["a"]
    assert [path.name for path in (gathered.folder / "rows").iterdir()] == [gathered.parts[0].name]
    assert gathered.add(rows(["b"]), "2").new == 1


# Several processes, and kills

CHUNKS, IN_CHUNK = 30, 20

CHILD = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from monitor.retraining_set import RetrainingSet

folder, kill_at, chunks, in_chunk = Path(sys.argv[1]), *map(int, sys.argv[2:5])
calls = 0

def deadly(call):
    def counted(*arguments):
        global calls
        calls += 1
        if calls == kill_at:  # before it happens
            os.kill(os.getpid(), signal.SIGKILL)
        done = call(*arguments)
        return done
    return counted

os.fsync, os.replace, os.mkdir = deadly(os.fsync), deadly(os.replace), deadly(os.mkdir)
gathered = RetrainingSet(folder, wait_seconds=120)
print("ready", flush=True)
sys.stdin.readline()
for chunk in range(chunks):
    texts = [f"text {i}" for i in range(chunk * in_chunk, (chunk + 1) * in_chunk)]
    same = {name: [value] * in_chunk for name, value in
            {"kind": "reviews", "role": "positive", "reasons": ["r"], "batch": "b", "file": "f", "row": 1}.items()}
    added = gathered.add(pa.table({"text": texts, "id": texts, **same}), f"{os.getpid()}-{chunk}")
    gathered.add_labels(pa.table({"id": texts, "label": texts}), kind="reviews", run_id=f"{os.getpid()}-{chunk}")
    print(added.new, flush=True)
"""


def child(folder: Path, *, kill_at: int = 0, chunks: int = CHUNKS) -> subprocess.Popen[str]:
    """A process that has everything imported and starts to add, chunk by chunk, once it reads a line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", CHILD, str(folder), str(kill_at), str(chunks), str(IN_CHUNK)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def added_by(process: subprocess.Popen[str]) -> int:
    """How many rows a process says it added; waits for its end."""
    with suppress(BrokenPipeError):
        told, _ = process.communicate(timeout=120)
    return sum(map(int, told.split()))


def assert_whole(gathered: RetrainingSet, chunks: int = CHUNKS) -> None:
    """Every text of the chunks is there exactly once, with its label."""
    expected = [f"text {i}" for i in range(chunks * IN_CHUNK)]
    read = gathered.read(["text", "label"]).read_all()
    assert sorted(read.column("text").to_pylist()) == sorted(expected)
    assert read.column("label").to_pylist() == read.column("text").to_pylist()
    assert gathered.rows() == len(set(gathered.known_hashes("reviews").to_pylist())) == len(expected)


def test_two_processes_at_once_lose_nothing_and_add_nothing_twice(gathered: RetrainingSet) -> None:
    both = [child(gathered.folder) for _ in range(2)]
    for process in both:
        go(process)
    assert sum(added_by(process) for process in both) == CHUNKS * IN_CHUNK
    assert [process.returncode for process in both] == [0, 0]
    assert_whole(gathered)


@pytest.mark.slow
def test_a_process_killed_at_any_step_is_made_good_by_running_again(tmp_path: Path) -> None:
    """Killed before each call that changes the folder's names or puts something on disk, one after the other."""
    steps = 0
    for kill_at in range(1, 100):
        gathered = RetrainingSet(tmp_path / str(kill_at))
        process = child(gathered.folder, kill_at=kill_at, chunks=1)
        go(process)
        added_by(process)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        steps += 1
        there = gathered.rows()
        assert there in (0, IN_CHUNK)  # a part is there as a whole, or not at all
        again = child(gathered.folder, chunks=1)
        go(again)
        assert added_by(again) == IN_CHUNK - there
        assert_whole(gathered, chunks=1)
        assert not list(gathered.folder.rglob(".partial-*"))
    assert steps >= 8  # three folders, and for each part: file on disk, name, folder on disk


def test_processes_killed_at_random_moments_beside_another_harm_nothing(gathered: RetrainingSet) -> None:
    draw = random.Random(3)
    survivor = child(gathered.folder)
    go(survivor)
    for _ in range(6):
        victim = child(gathered.folder)
        go(victim)
        time.sleep(draw.uniform(0, 0.3))
        victim.kill()
        victim.communicate()
    told = added_by(survivor)
    assert survivor.returncode == 0
    assert told <= CHUNKS * IN_CHUNK
    assert_whole(gathered)


HOLDER = """
import sys, time
from pathlib import Path
from monitor.retraining_set import RetrainingSet
with RetrainingSet(Path(sys.argv[1]))._locked():
    print("locked", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def held(gathered: RetrainingSet) -> Iterator[subprocess.Popen[str]]:
    """Another process that is adding, and takes for ever."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", HOLDER, str(gathered.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            yield process
        finally:
            process.kill()


def test_who_waits_too_long_for_another_process_is_told_which(
    gathered: RetrainingSet, held: subprocess.Popen[str]
) -> None:
    told: list[str] = []
    waiting = RetrainingSet(gathered.folder, wait_seconds=0.3, progress=told.append)
    with pytest.raises(ShopmonError, match=rf"another process \({held.pid}\) is adding .* within 0.3 seconds"):
        waiting.add(rows(["a"]), RUN_ID)
    assert told == ["waiting for another process that adds to the retraining set"]
    assert waiting.rows() == 0


def test_who_waits_goes_on_when_the_other_process_ends(gathered: RetrainingSet, held: subprocess.Popen[str]) -> None:
    waiting = RetrainingSet(gathered.folder, wait_seconds=60, progress=lambda _: held.kill())
    assert waiting.add(rows(["a"]), RUN_ID).new == 1


def test_reading_needs_no_lock(gathered: RetrainingSet, held: subprocess.Popen[str]) -> None:
    assert gathered.rows() == 0
    assert texts_in(gathered) == []


def test_a_file_system_without_locks_is_told(gathered: RetrainingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(retraining_set.fcntl, "flock", no_locks)
    with pytest.raises(ShopmonError, match=r"no file can be locked .*Operation not supported"):
        gathered.add(rows(["a"]), RUN_ID)
