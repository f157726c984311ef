"""Is a file checked again exactly when its content is another one?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from expectations.errors import ShopmonError
from expectations.file_listing import Listed
from monitor.checked_files import CheckedFile, CheckedFiles, Share, read

BASE = Path("/shop")
FOLDER = "/shop/in"


def listed(name, content="a", version="1"):
    key = f"{FOLDER}/{name}"
    return Listed(key, key, key, FOLDER, len(content), version, "parquet")


def checked(one, content="a"):
    return CheckedFile(
        key=one.key, within=one.within, size=one.size, version=one.version, sha256=f"sha of {content}", run_id="r",
        status="passed", kind="reviews", rows=3, checked="2026-11-20T10:00:00+00:00", asked="x",
        shares=(Share(2968, 3, "r-0.zip"),),
    )  # fmt: skip


def sha_of(content):
    return lambda _: f"sha of {content}"


def never(one):
    raise AssertionError(f"{one.name} was read")


@pytest.fixture
def known(tmp_path):
    with CheckedFiles.held(tmp_path, BASE) as held:
        held.commit([checked(listed("1.parquet"))])
        yield held


def test_a_file_that_nobody_touched_is_not_read(known):
    changes = known.changes([listed("1.parquet")], [FOLDER], never)
    assert (changes.to_check, changes.same, changes.known) == ((), (f"{FOLDER}/1.parquet",), ())


def test_a_file_that_was_touched_but_says_the_same_is_not_checked_again(known):
    changes = known.changes([listed("1.parquet", version="2")], [FOLDER], sha_of("a"))
    assert (changes.to_check, len(changes.same)) == ((), 1)
    known.commit(changes.known)
    assert known.changes([listed("1.parquet", version="2")], [FOLDER], never).to_check == ()


@pytest.mark.parametrize(
    "now", [listed("1.parquet", "b", "2"), listed("1.parquet", "bb", "2"), listed("1.parquet", "bb")]
)
def test_a_file_of_another_content_is_checked_again(known, now):
    assert known.changes([now], [FOLDER], sha_of("b")).changed == (now,)


def test_a_file_that_moved_keeps_what_was_found_of_it(known):
    now = listed("old/1.parquet", version="2")
    changes = known.changes([now], [FOLDER], sha_of("a"))
    assert (changes.to_check, changes.moved) == ((), ((f"{FOLDER}/1.parquet", now.key),))
    (entry,) = changes.known
    assert (entry.key, entry.shares) == (now.key, checked(listed("1.parquet")).shares)


def test_a_copy_is_new_and_no_move(known):
    copy = listed("2.parquet")
    changes = known.changes([listed("1.parquet"), copy], [FOLDER], sha_of("a"))
    assert (changes.new, changes.moved, changes.gone) == ((copy,), (), ())


def test_a_file_that_is_gone_is_told_once_and_keeps_its_rows(known):
    assert known.changes([], [FOLDER], never).gone == (f"{FOLDER}/1.parquet",)
    known.commit(known.changes([], [FOLDER], never).known)
    assert known.changes([], [FOLDER], never).gone == ()
    assert known.files[f"{FOLDER}/1.parquet"].shares


def test_nothing_is_gone_from_where_nobody_looked(known):
    assert known.changes([], ["/shop/other"], never).gone == ()


def test_checking_anew_outlives_the_process_that_asked_for_it(known, tmp_path):
    known.check_again([f"{FOLDER}/1.parquet"])
    (one,) = read(tmp_path, BASE)
    assert one.again
    assert known.changes([listed("1.parquet")], [FOLDER], never).changed == (listed("1.parquet"),)


def test_what_is_committed_is_read_back(known, tmp_path):
    entry = replace(checked(listed("ü\n.parquet")), told=False, gone=True)
    known.commit([entry], without=[f"{FOLDER}/1.parquet"])
    assert read(tmp_path, BASE) == (entry,)


def test_a_project_that_is_moved_as_a_whole_keeps_its_files_and_others_stay_where_they_are(known, tmp_path):
    elsewhere = replace(checked(listed("1.parquet")), key="/mnt/a.parquet", within="/mnt")
    remote = replace(elsewhere, key="s3://shop/a.parquet", within="s3://shop/*.parquet")
    known.commit([elsewhere, remote])
    assert [one.key for one in read(tmp_path, Path("/new/shop"))] == [
        "/mnt/a.parquet", "/new/shop/in/1.parquet", "s3://shop/a.parquet",
    ]  # fmt: skip
    assert [one.within for one in read(tmp_path, Path("/new/shop"))] == ["/mnt", "/new/shop/in", "s3://shop/*.parquet"]


def test_only_one_process_holds_the_list(known, tmp_path):
    with pytest.raises(ShopmonError, match="another process"), CheckedFiles.held(tmp_path, BASE):
        pass


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"version": 1}', '{"version": 1, "files": [{"key": "a", "shares": []}]}']
)
def test_a_damaged_list_is_told_and_not_taken_for_an_empty_one(tmp_path, damage):
    (tmp_path / "files.json").write_text(damage)
    with pytest.raises(ShopmonError, match="cannot be read"):
        read(tmp_path, BASE)


def test_a_list_of_another_version_is_told(tmp_path):
    (tmp_path / "files.json").write_text(json.dumps({"version": 2, "files": []}))
    with pytest.raises(ShopmonError, match="format 2"):
        read(tmp_path, BASE)
