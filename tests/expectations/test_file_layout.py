"""Are files told apart by their columns before they are read, and is nothing else made of it?"""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.file_layout import layout
from expectations.file_listing import list_files


@pytest.fixture
def layout_of(tmp_path):
    def told(name, data):
        if isinstance(data, bytes):
            (tmp_path / name).write_bytes(data)
        else:
            pq.write_table(pa.table(data), tmp_path / name)
        (one,) = list_files([tmp_path / name])
        return layout(one)

    return told


def test_parquet_files_of_the_same_columns_share_a_layout_in_whatever_order(layout_of):
    assert layout_of("a.parquet", {"text": ["a"], "stars": [1]}) == layout_of(
        "b.parquet", {"stars": [1], "text": ["b"]}
    )
    assert layout_of("a.parquet", {"text": ["a"]}) != layout_of("b.parquet", {"query": ["b"]})
    assert layout_of("c.parquet", {'a", "b': [1]}) != layout_of("d.parquet", {"a": [1], "b": [1]})


def test_delimited_files_share_a_layout_with_their_header(layout_of):
    assert layout_of("a.csv", b"text,stars\na,1\n") == layout_of("b.csv", b"text,stars\nb,2\n")
    assert layout_of("a.csv", b"text,stars\na,1\n") != layout_of("b.csv", b"query\nb\n")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.parquet", b"PAR1 and no more"), ("a.parquet", b""), ("a.csv", b""), ("a.csv", b"text"),
        ("a.csv.gz", gzip.compress(b"text\na\n" * 100, mtime=0)), ("a.jsonl", b'{"text": "a"}\n'),
    ],
)  # fmt: skip
def test_what_cannot_be_told_at_a_glance_has_none(layout_of, name, data):
    assert layout_of(name, data) == ""
