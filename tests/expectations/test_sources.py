import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.addresses import without_secrets
from expectations.errors import BatchError
from expectations.sources import Format, Found, display_name, find_sources, fingerprint

CSV = b"text,stars\nfits well,5\n"


def find(*addresses: str | Path, scratch: Path) -> tuple[Found, ...]:
    return find_sources(addresses, scratch)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "new.parquet"
    pq.write_table(pa.table({"text": ["fits well"]}), path)
    return path


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_a_file_is_found_with_its_format(parquet: Path, scratch: Path) -> None:
    (found,) = find(parquet, scratch=scratch)
    assert (found.format, found.path, found.name) == (Format.PARQUET, parquet, str(parquet))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", Format.CSV),
        ("a.CSV.GZ", Format.CSV),
        ("a.txt", Format.CSV),
        ("a.tsv", Format.TSV),
        ("a.tsv.gz", Format.TSV),
        ("a.jsonl", Format.JSONL),
        ("a.ndjson", Format.JSONL),
        ("a.json", Format.JSONL),
        ("a.jsonl.gz", Format.JSONL),
    ],
)
def test_a_text_format_is_known_by_its_ending(name: str, kind: Format, tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(CSV, mtime=0) if name.lower().endswith(".gz") else CSV)
    assert find(path, scratch=scratch)[0].format is kind


@pytest.mark.parametrize("name", ["a.arrow", "a.feather", "a.ipc", "no_ending"])
def test_arrow_is_known_by_its_ending_or_its_bytes(name: str, tmp_path: Path, scratch: Path) -> None:
    feather.write_feather(pa.table({"text": ["x"]}), tmp_path / name)
    assert find(tmp_path / name, scratch=scratch)[0].format is Format.ARROW


def test_a_missing_file_is_told_with_near_names(parquet: Path, scratch: Path) -> None:
    with pytest.raises(BatchError, match=r"nwe\.parquet does not exist; did you mean new\.parquet\?"):
        find(parquet.with_name("nwe.parquet"), scratch=scratch)


def test_a_missing_file_far_from_every_name_lists_what_is_there(parquet: Path, scratch: Path) -> None:
    with pytest.raises(BatchError, match=r"zzz does not exist; .* holds new\.parquet"):
        find(parquet.with_name("zzz"), scratch=scratch)


def test_a_missing_folder_is_named(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(BatchError, match=r"neither does its folder .*absent"):
        find(tmp_path / "absent" / "new.csv", scratch=scratch)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "new.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(BatchError, match="is a link that leads nowhere"):
        find(tmp_path / "new.csv", scratch=scratch)


def test_an_empty_file_is_told(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "new.csv").touch()
    with pytest.raises(BatchError, match=r"new\.csv is empty \(0 bytes\)\. Was it written completely"):
        find(tmp_path / "new.csv", scratch=scratch)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    # In a process of its own, as root may read everything: there it becomes nobody first.
    path = Path(f"/tmp/shopmon-unreadable-{os.getpid()}.csv")
    path.write_bytes(CSV)
    path.chmod(0)
    script = f"""
import os
from pathlib import Path
from expectations.sources import find_sources
if os.geteuid() == 0:
    os.seteuid(65534)
find_sources([{str(path)!r}], Path("/tmp"))
"""
    try:
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    finally:
        path.unlink()
    assert f"BatchError: {path} may not be read by this user. Change its permissions" in run.stderr


def test_a_pipe_is_not_waited_for(tmp_path: Path, scratch: Path) -> None:
    os.mkfifo(tmp_path / "new.csv")
    with pytest.raises(BatchError, match="is not a regular file"):
        find(tmp_path / "new.csv", scratch=scratch)


def test_nothing_named_is_told(scratch: Path) -> None:
    with pytest.raises(BatchError, match="no data was named"):
        find(scratch=scratch)
    with pytest.raises(BatchError, match="an empty address"):
        find("", scratch=scratch)
    with pytest.raises(BatchError, match="NUL character"):
        find("a\0b", scratch=scratch)


# --- folders, globs, several ---------------------------------------------------------------------------------------


def write(folder: Path, *names: str, data: bytes = CSV) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names(found: tuple[Found, ...], folder: Path) -> list[str]:
    return [str(one.path.relative_to(folder)) for one in found if one.path]


def test_a_folder_is_searched_downwards_in_sorted_order(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "data"
    write(folder, "b.csv", "a/z.csv", "a/deeper/k.csv", "c.tsv")
    assert names(find(folder, scratch=scratch), folder) == ["a/deeper/k.csv", "a/z.csv", "b.csv", "c.tsv"]


def test_hidden_underscored_and_other_files_of_a_folder_are_left_out(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "data"
    write(folder, "a.csv", ".a.csv", "_a.csv", "_SUCCESS", "_log/b.csv", ".git/c.csv", "README.md", "README.txt")
    assert names(find(folder, scratch=scratch), folder) == ["a.csv"]


def test_a_folder_without_data_files_says_what_it_has(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path / "data", "report.pdf", "README.md")
    with pytest.raises(BatchError, match=r"holds no data files; it has README\.md, report\.pdf"):
        find(tmp_path / "data", scratch=scratch)


def test_a_folder_of_mixed_formats_is_refused(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path / "data", "a.csv", "b.jsonl")
    with pytest.raises(BatchError, match=r"different formats: .*a\.csv is delimited text, .*b\.jsonl is jsonl"):
        find(tmp_path / "data", scratch=scratch)


def test_several_paths_keep_their_order_and_a_file_named_twice_is_read_once(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "b.csv", "a.csv")
    found = find(tmp_path / "b.csv", tmp_path / "a.csv", tmp_path / "." / "b.csv", scratch=scratch)
    assert names(found, tmp_path) == ["b.csv", "a.csv"]


def test_several_paths_of_different_formats_are_refused(tmp_path: Path, parquet: Path, scratch: Path) -> None:
    write(tmp_path, "a.csv")
    with pytest.raises(BatchError, match="different formats"):
        find(parquet, tmp_path / "a.csv", scratch=scratch)


def test_a_glob_finds_its_files_sorted(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "2.csv", "1.csv", "x.jsonl", "deep/3.csv")
    assert names(find(str(tmp_path / "*.csv"), scratch=scratch), tmp_path) == ["1.csv", "2.csv"]
    assert names(find(str(tmp_path / "**" / "*.csv"), scratch=scratch), tmp_path) == ["1.csv", "2.csv", "deep/3.csv"]


def test_a_glob_without_match_says_what_is_there(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "a.csv")
    with pytest.raises(BatchError, match=r"no file matches '.*\*\.parquet'; .* holds a\.csv"):
        find(str(tmp_path / "*.parquet"), scratch=scratch)


def test_a_file_whose_name_holds_glob_characters_is_that_file(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "new[1].csv", "new1.csv")
    assert names(find(tmp_path / "new[1].csv", scratch=scratch), tmp_path) == ["new[1].csv"]


# --- what a file really is -----------------------------------------------------------------------------------------


def test_a_text_file_called_parquet_is_told(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "new.parquet")
    with pytest.raises(
        BatchError, match=r"is a text file \(it begins with 'text,stars'\) called \.parquet\. Rename it"
    ):
        find(tmp_path / "new.parquet", scratch=scratch)


def test_parquet_called_csv_is_told(parquet: Path, scratch: Path) -> None:
    path = parquet.rename(parquet.with_suffix(".csv"))
    with pytest.raises(BatchError, match=r"is a parquet file called \.csv\. Rename it to end in \.parquet"):
        find(path, scratch=scratch)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("new.csv", gzip.compress(CSV, mtime=0), r"is a gzip file called \.csv\. Rename it to end in \.csv\.gz"),
        ("new.csv.gz", CSV, r"is a text file .* called \.gz"),
        ("new.jsonl", b"SQLite format 3\0....", r"is an SQLite database called \.jsonl"),
        ("new.xlsx", b"PK\x03\x04....", r"is a zip archive \(an \.xlsx workbook is one, too\), and its name tells no"),
        ("new.parquet", b"\x01\x02\x00\x03" * 9, r"unknown format \(it begins with the bytes 01 02 00 03"),
        ("new.parquet", b"PARE....", "is an encrypted parquet file"),
        ("new.feather", b"FEA1....", "Feather file of version 1"),
        ("new.arrow", CSV, r"is a text file .* called \.arrow"),
        ("new.csv.zst", b"\x28\xb5\x2f\xfd..", "is a zstd file, and its name tells no format"),
        ("new", CSV, "is a text file .*, and its name tells no format. Expected are parquet, CSV"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_told(
    name: str, data: bytes, message: str, tmp_path: Path, scratch: Path
) -> None:
    write(tmp_path, name, data=data)
    with pytest.raises(BatchError, match=message):
        find(tmp_path / name, scratch=scratch)


def test_a_fingerprint_is_the_sha256_of_the_bytes(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "a.csv")
    assert fingerprint(find(tmp_path / "a.csv", scratch=scratch)[0]) == hashlib.sha256(CSV).hexdigest()


# --- elsewhere -----------------------------------------------------------------------------------------------------


def test_a_file_url_is_read_in_place(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "a.csv")
    (found,) = find(f"file://{tmp_path}/a.csv", scratch=scratch)
    assert found.path == tmp_path / "a.csv"
    assert not scratch.exists()


def test_a_remote_file_is_copied_once_and_hashed_on_the_way(memory: fsspec.AbstractFileSystem, scratch: Path) -> None:
    memory.pipe("/shop/new.csv", CSV)
    (found,) = find("memory://shop/new.csv", scratch=scratch)
    assert found.path is not None
    assert found.path.read_bytes() == CSV
    assert found.path.is_relative_to(scratch)
    assert found.name == "memory://shop/new.csv"
    memory.rm("/shop/new.csv")
    assert fingerprint(found) == hashlib.sha256(CSV).hexdigest()


def test_a_remote_folder_and_a_remote_glob_are_sorted(memory: fsspec.AbstractFileSystem, scratch: Path) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv", "_SUCCESS", "_log/d.csv", "notes.md"):
        memory.pipe(f"/shop/{name}", CSV)
    folder = [found.name for found in find("memory://shop", scratch=scratch)]
    assert folder == ["memory:///shop/a.csv", "memory:///shop/b.csv", "memory:///shop/deep/c.csv"]
    globbed = [found.name for found in find("memory://shop/*.csv", scratch=scratch)]
    assert globbed == ["memory:///shop/a.csv", "memory:///shop/b.csv"]


def test_a_remote_file_that_does_not_exist_is_told(memory: fsspec.AbstractFileSystem, scratch: Path) -> None:
    with pytest.raises(BatchError, match=r"memory://shop/none\.csv does not exist"):
        find("memory://shop/none.csv", scratch=scratch)
    with pytest.raises(BatchError, match=r"no file matches memory://shop/\*\.csv"):
        find("memory://shop/*.csv", scratch=scratch)


def test_a_remote_file_is_recognised_like_a_local_one(memory: fsspec.AbstractFileSystem, scratch: Path) -> None:
    memory.pipe("/shop/new.parquet", CSV)
    with pytest.raises(BatchError, match=r"memory://shop/new\.parquet is a text file"):
        find("memory://shop/new.parquet", scratch=scratch)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "extra", "module"),
    [
        ("s3://shop/new.csv", "s3", "s3fs"),
        ("gs://shop/new.csv", "gcs", "gcsfs"),
        ("hf://datasets/a/b/new.csv", "hf", "huggingface_hub"),
        ("https://shop.example/new.csv", "http", "fsspec.implementations.http"),
    ],
)
def test_a_missing_package_is_told_with_how_to_install_it(
    address: str, extra: str, module: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, address.partition(":")[0], raising=False)
    with pytest.raises(BatchError, match=rf'pip install "shopmon\[{extra}\]"'):
        find(address, scratch=scratch)


def test_an_unknown_protocol_is_told(scratch: Path) -> None:
    with pytest.raises(BatchError, match=r"sss://shop/a\.csv begins with an unknown protocol\. Known are s3://"):
        find("sss://shop/a.csv", scratch=scratch)


def test_errors_of_a_service_are_told_without_traceback_and_secrets(scratch: Path) -> None:
    class Refusing(fsspec.AbstractFileSystem):  # type: ignore[misc]  # stands for a service that refuses; the network is closed to tests
        protocol = "refusing"

        def info(self, path: str, **options: object) -> dict[str, object]:
            raise ConnectionError("no route for https://ann:hunter2@shop.example/x?token=abc123")

    fsspec.register_implementation("refusing", Refusing, clobber=True)
    address = "refusing://ann:hunter2@shop.example/new.csv"
    with pytest.raises(BatchError, match="could not be fetched: no route") as caught:
        find(address, scratch=scratch)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_transfer_that_breaks_off_is_told_and_leaves_nothing(
    memory: fsspec.AbstractFileSystem, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/new.csv", CSV)
    known = memory.info("/new.csv")
    monkeypatch.setattr("expectations.remote_files.FIRST_WAIT", 0.01)
    monkeypatch.setattr(type(memory), "info", lambda self, path, **options: {**known, "size": 1000})
    with pytest.raises(BatchError, match=f"broke off: {len(CSV)} of 1,000 bytes arrived"):
        find("memory://new.csv", scratch=scratch)
    assert list(scratch.iterdir()) == []


# --- databases and secrets -----------------------------------------------------------------------------------------


def test_a_table_is_named_with_its_database(scratch: Path) -> None:
    (found,) = find("postgresql://ann:pw@db/shop::public.reviews", scratch=scratch)
    assert (found.format, found.url, found.table) == (Format.TABLE, "postgresql://ann:pw@db/shop", "public.reviews")
    assert found.name == "postgresql://ann:***@db/shop::public.reviews"
    assert "pw" not in repr(found)


@pytest.mark.parametrize("address", ["sqlite:///shop.db", "postgresql://ann:hunter2@db/shop", "sqlite:///shop.db::"])
def test_a_database_without_a_table_is_told(address: str, scratch: Path) -> None:
    with pytest.raises(BatchError, match=r"names a database but no table\. Add the table after two colons") as caught:
        find(address, scratch=scratch)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("data/new.csv", "data/new.csv"),
        ("s3://bucket/a?b.csv", "s3://bucket/a?b.csv"),
        ("https://ann:pw@shop.example/new.csv", "https://ann:***@shop.example/new.csv"),
        ("https://ghp_token@shop.example/new.csv", "https://***@shop.example/new.csv"),
        ("https://shop.example/a@1.0/new.csv", "https://shop.example/a@1.0/new.csv"),
        ("https://shop.example/new.csv?sig=abc&x=1", "https://shop.example/new.csv?sig=***&x=***"),
        ("postgresql://ann@db/shop::t", "postgresql://ann@db/shop::t"),
        ("postgresql://ann:p/w@x@db/shop::t", "postgresql://ann:***@db/shop::t"),
        ("postgresql://db/shop?user=ann&password=pw::t", "postgresql://db/shop?user=***&password=***::t"),
        ("zip://new.csv::https://ann:pw@shop.example/new.zip", "zip://new.csv::https://ann:***@shop.example/new.zip"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert display_name(address) == shown


def test_secrets_of_the_environment_and_of_other_addresses_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse-staple")
    said = "key correct-horse-staple refused by 'http://ann:hunter2@store:9000/shop?X-Amz-Signature=abc&x=1', try again"
    assert without_secrets(said, "s3://shop/new.csv") == (
        "key *** refused by 'http://ann:***@store:9000/shop?X-Amz-Signature=***&x=***', try again"
    )


@given(st.text(st.characters(codec="ascii", exclude_characters="?#:*", categories=["L", "N", "P"])))
def test_no_password_is_ever_shown(middle: str) -> None:
    password = f"Q9z{middle}z9Q"  # so that it is no part of the address by chance
    url = f"postgresql://ann:{password}@db/shop"
    assert password not in display_name(f"{url}::reviews")
    assert password not in without_secrets(f"could not connect to {url} with {password}", url)
