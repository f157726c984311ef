from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monitor.run_folder
from expectations.errors import ShopmonError
from monitor.profiles import (
    BUCKETS,
    WORD_BUCKETS,
    CategoryProfile,
    NumberProfile,
    Profile,
    Sort,
    TextProfile,
)
from monitor.reference import FILE_NAME, load, save
from monitor.sketches import different, sketch_of_numbers, sketch_of_values

COUNT = st.integers(0, 2**40)
NAME = st.text(st.characters(codec="utf-8"), max_size=8)
FLOATS = st.floats()


@st.composite
def numbers(draw):
    edges = np.unique(np.array(draw(st.lists(st.floats(allow_nan=False), max_size=5)), dtype=float))
    counts = draw(st.lists(COUNT, min_size=len(edges) + 1, max_size=len(edges) + 1))
    return NumberProfile(draw(COUNT), draw(COUNT), edges, np.array(counts, np.int64), *(draw(FLOATS) for _ in range(4)))


def spread(size):
    def fill(filled):
        counts = np.zeros(size, np.int64)
        counts[list(filled)] = list(filled.values())
        return counts

    return st.dictionaries(st.integers(0, size - 1), COUNT, max_size=5).map(fill)


CATEGORIES = st.builds(
    CategoryProfile, COUNT, COUNT, spread(BUCKETS), st.dictionaries(st.integers(0, BUCKETS - 1), NAME, max_size=4)
)
TEXTS = st.builds(
    TextProfile,
    COUNT,
    COUNT,
    COUNT,
    spread(WORD_BUCKETS),
    st.dictionaries(st.integers(0, WORD_BUCKETS - 1), NAME, max_size=4),
    numbers(),
)


@st.composite
def profiles(draw):
    columns = draw(st.dictionaries(NAME, numbers() | CATEGORIES | TEXTS, max_size=4))
    sorts = {name: draw(st.sampled_from(list(Sort))) for name in columns}
    inner = st.dictionaries(NAME, st.dictionaries(NAME, numbers() | CATEGORIES, max_size=2), max_size=2)
    sample = pa.table({"text": pa.array(draw(st.lists(st.none() | NAME, max_size=4)), pa.string())})
    return Profile("reviews", draw(COUNT), sorts, columns, draw(st.dictionaries(NAME, inner, max_size=2)), sample)


def same(a, b):
    """Equal in every value and in the order of every mapping."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    if isinstance(a, pa.Table):
        return a.equals(b)
    return same(vars(a), vars(b)) if hasattr(a, "__dataclass_fields__") else a == b


def small(rows):
    counted = NumberProfile(rows, 0, np.array([1.0, 2.0]), np.array([rows, 0, 0]), 1.0, 0.0, 1.0, 1.0)
    return Profile("reviews", rows, {"stars": Sort.NUMBER}, {"stars": counted}, {}, pa.table({"stars": [1.0]}))


@given(profiles())
@settings(deadline=None, max_examples=40)
def test_what_is_kept_comes_back_unchanged(profile):
    with TemporaryDirectory() as folder:
        save(profile, Path(folder) / "reviews", name="reviews.parquet")
        assert same(load(Path(folder) / "reviews").profile, profile)


def test_sketches_are_kept_and_a_reference_of_before_does_without(tmp_path):
    sketch = sketch_of_numbers(np.arange(1000.0))
    columns = {
        "stars": replace(small(3).columns["stars"], quantiles=sketch),
        "brand": CategoryProfile(3, 0, np.zeros(BUCKETS, np.int64), {}, sketch_of_values([1, 2])),
    }
    sorts = {"stars": Sort.NUMBER, "brand": Sort.CATEGORY}
    save(replace(small(3), sorts=sorts, columns=columns), tmp_path / "reviews", name="a")
    kept = load(tmp_path / "reviews").profile.columns
    assert (kept["stars"].quantiles, different(kept["brand"].different).count) == (sketch, 2)
    without(tmp_path / "reviews" / FILE_NAME, "quantiles", "different")
    kept = load(tmp_path / "reviews").profile.columns
    assert (kept["stars"].quantiles, kept["brand"].different) == (b"", b"")


def without(file, *names):
    """The archive as it was written before these were kept."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(parts["profile.json"])
    told["columns"] = [[name, {k: v for k, v in one.items() if k not in names}] for name, one in told["columns"]]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {**parts, "profile.json": json.dumps(told)}.items():
            archive.writestr(name, content)


def test_a_reference_says_where_it_comes_from_without_secrets(tmp_path):
    address = "postgresql://ann:secret@db.shop/reviews::public.reviews"
    save(small(7), tmp_path / "deep" / "reviews", name=address, sources=[(address, "ab12"), ("b.csv", "cd34")])
    found = load(tmp_path / "deep" / "reviews")
    assert found.name == "postgresql://ann:***@db.shop/reviews::public.reviews"
    assert (found.rows, found.sha256) == (7, ("ab12", "cd34"))
    assert found.created.endswith("+00:00")
    with zipfile.ZipFile(tmp_path / "deep" / "reviews" / FILE_NAME) as archive:
        assert b"secret" not in archive.read("profile.json")


def test_a_later_reference_replaces_the_earlier_one(tmp_path):
    for rows in (1, 2):
        save(small(rows), tmp_path / "reviews", name="a")
    assert load(tmp_path / "reviews").rows == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["reviews", FILE_NAME]


def test_without_a_reference_it_is_said_how_to_set_one(tmp_path):
    with pytest.raises(ShopmonError, match=r"there is no reference in .*shopmon reference set"):
        load(tmp_path / "reviews")


@pytest.mark.parametrize("part", ["profile.json", "arrays.npz", "sample.parquet"])
def test_a_damaged_reference_is_refused(tmp_path, part):
    save(small(3), tmp_path / "reviews", name="a")
    file = tmp_path / "reviews" / FILE_NAME
    with zipfile.ZipFile(file) as archive:
        begin = archive.getinfo(part).header_offset + 30 + len(part)
    content = bytearray(file.read_bytes())
    content[begin + 20] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ShopmonError, match=r"is damaged: .*shopmon reference set"):
        load(tmp_path / "reviews")


@pytest.mark.parametrize("length", [0, 100, -1])
def test_a_shortened_reference_is_refused(tmp_path, length):
    save(small(3), tmp_path / "reviews", name="a")
    file = tmp_path / "reviews" / FILE_NAME
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ShopmonError, match="is damaged"):
        load(tmp_path / "reviews")


def test_another_format_is_refused_by_its_number(tmp_path):
    with zipfile.ZipFile(tmp_path / FILE_NAME, "w") as archive:
        archive.writestr("profile.json", json.dumps({"version": 99}))
    with pytest.raises(ShopmonError, match="has format 99, and this version of shopmon reads 1"):
        load(tmp_path)


def test_objects_that_run_code_are_not_loaded(tmp_path):
    save(small(3), tmp_path / "reviews", name="a")
    file = tmp_path / "reviews" / FILE_NAME
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    np.savez(tmp_path / "evil.npz", a0=np.array([print], dtype=object), a1=np.array([1]))
    parts["arrays.npz"] = (tmp_path / "evil.npz").read_bytes()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ShopmonError, match="is damaged"):
        load(tmp_path / "reviews")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("where", ["_fsync", "os.replace"])
def test_what_goes_wrong_midway_leaves_the_earlier_reference(tmp_path, monkeypatch, first, where):
    folder = tmp_path / "references" / "reviews"
    if not first:
        save(small(1), folder, name="a")

    def fail(*_):
        raise RuntimeError("the lights went out")

    owner = monitor.run_folder if where == "_fsync" else os
    monkeypatch.setattr(owner, where.removeprefix("os."), fail)
    with pytest.raises(RuntimeError):
        save(small(2), folder, name="b")
    monkeypatch.undo()
    if first:
        assert list((tmp_path / "references").iterdir()) == []
    else:
        assert load(folder).rows == 1
        assert [path.name for path in folder.iterdir()] == [FILE_NAME]


KILLED = """
import os, signal, sys
from pathlib import Path
import monitor.run_folder
from tests.monitor.test_reference import save, small
monitor.run_folder._fsync = lambda path: os.kill(os.getpid(), signal.SIGKILL)
save(small(2), Path(sys.argv[1]), name="b")
"""


@pytest.mark.parametrize("first", [True, False])
def test_a_killed_writer_leaves_the_earlier_reference_or_none(tmp_path, first):
    folder = tmp_path / "references" / "reviews"
    if not first:
        save(small(1), folder, name="a")
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, folder], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    assert done.returncode == -signal.SIGKILL
    assert folder.exists() is not first
    if not first:
        assert load(folder).rows == 1
    save(small(3), folder, name="c")
    assert load(folder).rows == 3


def test_of_writers_at_once_one_wins_whole(tmp_path):
    folder = tmp_path / "references" / "reviews"
    failed = []

    def write(rows):
        try:
            for _ in range(5):
                save(small(rows), folder, name=str(rows))
                found = load(folder)
                assert found.name == str(found.rows)
        except BaseException as error:
            failed.append(error)

    writers = [Thread(target=write, args=(rows,)) for rows in range(1, 5)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    assert load(folder).rows in range(1, 5)
    assert [path.name for path in (tmp_path / "references").rglob("*")] == ["reviews", FILE_NAME]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "references").write_text("")
    with pytest.raises(ShopmonError, match="references"):
        save(small(1), tmp_path / "references" / "reviews", name="a")
