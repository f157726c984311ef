"""Files of an object store arrive whole or not at all, and what went wrong is told."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import expectations.remote_files
from expectations.errors import BatchError
from expectations.sources import Found, find_sources

from ..conftest import S3_KEYS, CuttingProxy, S3Server, use_s3

CSV = b"text,stars\nFits well,5\n"
READ_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
LIST_ONLY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def told(scratch: Path) -> Callable[[str], str]:
    """What is said of an address that cannot be had; nothing of it may remain, and no secret be in it."""

    def ask(address: str) -> str:
        with pytest.raises(BatchError) as caught:
            find(address, scratch)
        message = str(caught.value)
        assert "staple" not in message
        assert "\n" not in message
        assert caught.value.__suppress_context__
        assert not scratch.exists() or list(scratch.iterdir()) == []
        return message

    return ask


@pytest.fixture
def proxied(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand a proxy before the store, as the environment then says."""
    proxies = []

    def stand(**options: Any) -> CuttingProxy:
        proxy = CuttingProxy(s3_server.url, **options)
        proxies.append(proxy)
        use_s3(monkeypatch, AWS_ENDPOINT_URL=proxy.url)
        monkeypatch.setattr(expectations.remote_files, "FIRST_WAIT", 0.05)
        return proxy

    yield stand
    for proxy in proxies:
        proxy.close()


def find(address: str, scratch: Path, progress: Callable[[str], None] = lambda _: None) -> tuple[Found, ...]:
    return find_sources([address], scratch, progress)


def content(found: Found) -> bytes:
    assert found.path is not None
    return found.path.read_bytes()


def noise(size: int) -> bytes:
    """CSV that no compression and no repetition could restore if a part of it were lost."""
    lines = (f"{hashlib.sha256(str(number).encode()).hexdigest()},{number % 5 + 1}\n" for number in range(size // 66))
    return b"text,stars\n" + "".join(lines).encode()


# --- what arrives --------------------------------------------------------------------------------------------------


def test_a_file_a_folder_and_a_glob_arrive_as_they_are(s3_server: S3Server, scratch: Path) -> None:
    names = ["new/b.csv", "new/a b%20ü+&.csv", "new/deep/c.csv", "new/_SUCCESS", "new/_log/d.csv", "new/notes.md"]
    for number, name in enumerate(names):
        s3_server.put(f"s3://shop/{name}", CSV + str(number).encode())
    (one,) = find("s3://shop/new/b.csv", scratch)
    assert (content(one), one.name, one.sha256) == (
        CSV + b"0",
        "s3://shop/new/b.csv",
        hashlib.sha256(CSV + b"0").hexdigest(),
    )
    every = ["s3://shop/new/a b%20ü+&.csv", "s3://shop/new/b.csv", "s3://shop/new/deep/c.csv"]
    for address in ("s3://shop/new", "s3://shop/new/", "s3://shop", "s3a://shop/new"):
        found = find(address, scratch)
        assert [one.name for one in found] == every, address
        assert [content(one) for one in found] == [CSV + b"1", CSV + b"0", CSV + b"2"]
    assert [one.name for one in find("s3://shop/new/*.csv", scratch)] == every[:2]


def test_a_file_of_several_parts_whose_etag_is_no_md5_arrives(s3_server: S3Server, scratch: Path) -> None:
    client, data = s3_server.client(), noise(6 << 20)
    client.create_bucket(Bucket="shop")
    upload = client.create_multipart_upload(Bucket="shop", Key="new.csv")["UploadId"]
    parts = []
    for number, part in enumerate([data[: 5 << 20], data[5 << 20 :]], 1):
        answer = client.upload_part(Bucket="shop", Key="new.csv", PartNumber=number, UploadId=upload, Body=part)
        parts.append({"ETag": answer["ETag"], "PartNumber": number})
    client.complete_multipart_upload(Bucket="shop", Key="new.csv", UploadId=upload, MultipartUpload={"Parts": parts})
    assert client.head_object(Bucket="shop", Key="new.csv")["ETag"].endswith('-2"')
    (found,) = find("s3://shop/new.csv", scratch)
    assert content(found) == data


def test_a_file_that_came_since_the_last_look_is_found(s3_server: S3Server, scratch: Path) -> None:
    s3_server.put("s3://shop/new/a.csv", CSV)
    assert len(find("s3://shop/new", scratch)) == 1
    s3_server.put("s3://shop/new/b.csv", CSV)
    assert len(find("s3://shop/new", scratch)) == 2


def test_an_archive_in_a_store_is_read_through(s3_server: S3Server, scratch: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        archive.writestr("new.csv", CSV)
    s3_server.put("s3://shop/new.zip", (tmp_path / "new.zip").read_bytes())
    (found,) = find("zip://new.csv::s3://shop/new.zip", scratch)
    assert content(found) == CSV


def test_how_far_it_is_is_told(s3_server: S3Server, scratch: Path) -> None:
    for number in range(9):
        s3_server.put(f"s3://shop/new/{number}.csv", noise(500_000))
    heard: list[str] = []
    find("s3://shop/new", scratch, heard.append)
    assert all(re.fullmatch(r"fetching \d of 9 files, \d of (4|5) MB", one) for one in heard), heard
    assert heard[0].startswith("fetching 0 of 9 files, 0 of ")


def test_several_files_are_fetched_at_once(
    proxied: Callable[..., CuttingProxy], s3_server: S3Server, scratch: Path
) -> None:
    for number in range(12):
        s3_server.put(f"s3://shop/new/{number:02}.csv", CSV)
    proxy = proxied(after=0, cuts=0, delay=0.3)  # as of a store far away
    assert len(find("s3://shop/new", scratch)) == 12
    assert 2 <= proxy.most_at_once <= expectations.remote_files.AT_ONCE


# --- what does not arrive ------------------------------------------------------------------------------------------


def test_a_missing_bucket_is_named(s3_server: S3Server, told: Callable[[str], str]) -> None:
    s3_server.put("s3://shop/new.csv", CSV)
    for address in ("s3://nowhere/new.csv", "s3://nowhere", "s3://nowhere/*.csv", "s3://nowhere/new/"):
        message = told(address)
        assert message.startswith(f"{address} does not exist: there is no bucket 'nowhere'. Check its name")


def test_a_missing_key_and_a_glob_without_a_match_are_told(s3_server: S3Server, told: Callable[[str], str]) -> None:
    s3_server.put("s3://shop/new.csv", CSV)
    assert told("s3://shop/nwe.csv") == "s3://shop/nwe.csv does not exist. Check the address."
    assert told("s3://shop/old/*.csv") == "no file matches s3://shop/old/*.csv. Check the pattern."
    s3_server.put("s3://shop/docs/notes.md", b"# Notes")
    assert told("s3://shop/docs").startswith("s3://shop/docs holds no data files. Expected are parquet")


@pytest.mark.parametrize("address", ["s3://shop/new.csv", "s3://shop/", "s3://shop/*.csv"])
def test_keys_that_the_store_does_not_know_are_told(
    s3_server: S3Server, told: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    s3_server.put("s3://shop/new.csv", CSV)
    keys = s3_server.only_known_keys(json.dumps(READ_ALL))
    use_s3(monkeypatch, **{**keys, "AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"})
    message = told(address)
    assert message.startswith(f"{address} refused access: The AWS Access Key Id you provided does not exist")
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message
    use_s3(monkeypatch, **{**keys, "AWS_SECRET_ACCESS_KEY": "not-the-secret"})
    message = told(address)
    assert message.startswith(f"{address} refused access: The request signature we calculated does not match")
    assert "not-the-secret" not in message
    assert keys["AWS_SECRET_ACCESS_KEY"] not in message


def test_a_user_who_may_not_read_is_told_so_and_one_who_may_reads(
    s3_server: S3Server, told: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    s3_server.put("s3://shop/new.csv", CSV)
    use_s3(monkeypatch, **s3_server.only_known_keys(json.dumps(LIST_ONLY)))
    assert "refused access: this user may list the bucket, but not read that" in told("s3://shop/new.csv")
    s3_server.reset()
    s3_server.put("s3://shop/new.csv", CSV)
    use_s3(monkeypatch, **s3_server.only_known_keys(json.dumps(READ_ALL)))
    assert len(find("s3://shop/new.csv", scratch)) == 1


def test_no_keys_at_all_are_told(
    s3_server: S3Server, told: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in S3_KEYS:
        monkeypatch.delenv(name)
    nothing = str(tmp_path / "nothing")
    use_s3(
        monkeypatch,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=nothing,
        AWS_SHARED_CREDENTIALS_FILE=nothing,
    )
    assert told("s3://shop/new.csv").startswith(
        "s3://shop/new.csv refused access: Unable to locate credentials. Set AWS_"
    )


def test_a_store_that_does_not_answer_is_told(
    s3_server: S3Server, told: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_s3(monkeypatch, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    message = told("s3://shop/new.csv")
    assert "could not be fetched: Could not connect to the endpoint URL" in message
    assert "AWS_ENDPOINT_URL" in message


def test_a_store_that_takes_connections_and_never_answers_is_told(
    s3_server: S3Server, told: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = {**expectations.remote_files.S3_PATIENCE, "read_timeout": 0.3}
    monkeypatch.setattr(expectations.remote_files, "S3_PATIENCE", impatient)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        use_s3(monkeypatch, AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        assert "could not be fetched: Read timeout on endpoint URL" in told("s3://shop/new.csv")
    assert time.monotonic() - begun < 30


def test_a_file_that_is_empty_or_no_data_is_told(s3_server: S3Server, told: Callable[[str], str]) -> None:
    s3_server.put("s3://shop/empty.csv", b"")
    s3_server.put("s3://shop/new.parquet", CSV)
    assert told("s3://shop/empty.csv").startswith("s3://shop/empty.csv is empty (0 bytes)")
    assert told("s3://shop/new.parquet").startswith("s3://shop/new.parquet is a text file")
    assert "is" in told("s3://shop/")  # one bad file of several leaves none of the others


# --- transfers that break off --------------------------------------------------------------------------------------


def test_a_connection_that_is_always_cut_is_told_and_leaves_nothing(
    proxied: Callable[..., CuttingProxy], s3_server: S3Server, told: Callable[[str], str]
) -> None:
    s3_server.put("s3://shop/new.csv", noise(2 << 20))
    proxy = proxied(after=100_000)
    begun = time.monotonic()
    message = told("s3://shop/new.csv")
    assert message.startswith("s3://shop/new.csv could not be fetched: ")
    assert message.endswith(
        "Nothing of it was kept. Check the network, and AWS_ENDPOINT_URL if the store is not Amazon's; then try again."
    )
    assert proxy.cut > 1
    assert time.monotonic() - begun < 50


@pytest.mark.parametrize("cuts", [1, 7])
def test_a_connection_that_is_cut_now_and_then_brings_the_file_whole(
    proxied: Callable[..., CuttingProxy], s3_server: S3Server, scratch: Path, cuts: int
) -> None:
    data = noise(20 << 20)
    s3_server.put("s3://shop/new.csv", data)
    proxy = proxied(after=3 << 20, cuts=cuts)
    (found,) = find("s3://shop/new.csv", scratch)
    assert proxy.cut == cuts
    assert content(found) == data
    assert found.sha256 == hashlib.sha256(data).hexdigest()


def test_a_transfer_is_gone_on_with_where_it_stopped(
    proxied: Callable[..., CuttingProxy], s3_server: S3Server, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, asked = noise(20 << 20), []
    s3_server.put("s3://shop/new.csv", data)
    proxied(after=7 << 20, cuts=2)
    answer = expectations.remote_files._S3Answer

    def noted(system: Any, member: Any, start: int) -> Any:
        asked.append(start)
        return answer(system, member, start)

    monkeypatch.setattr(expectations.remote_files, "_S3Answer", noted)
    (found,) = find("s3://shop/new.csv", scratch)
    assert content(found) == data
    assert len(asked) == 3
    assert asked[0] == 0
    assert 5 << 20 < asked[1] < 7 << 20
    assert 5 << 20 < asked[2] - asked[1] < 7 << 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "s3://shop/new.csv arrived damaged: the MD5 of its 1,0.*Nothing of it was kept"),
        (
            {"ChecksumAlgorithm": "CRC32"},
            "could not be fetched: Expected checksum .* did not match.*Nothing of it was kept",
        ),
    ],
)
def test_bytes_that_changed_on_the_way_are_noticed(
    proxied: Callable[..., CuttingProxy],
    s3_server: S3Server,
    told: Callable[[str], str],
    scratch: Path,
    options: dict[str, str],
    said: str,
) -> None:
    s3_server.put("s3://shop/new.csv", noise(1 << 20), **options)
    proxied(after=500_000, garble=True)
    assert re.search(said, told("s3://shop/new.csv"))
    proxied(after=500_000, garble=True, cuts=1)
    assert content(find("s3://shop/new.csv", scratch)[0]) == noise(1 << 20)


def test_the_etag_of_an_encrypted_file_is_not_taken_for_its_md5(
    s3_server: S3Server, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.put("s3://shop/new.csv", CSV, ServerSideEncryption="aws:kms")
    monkeypatch.setattr(expectations.remote_files, "_promised_md5", lambda member, system: "0" * 32)
    assert content(find("s3://shop/new.csv", scratch)[0]) == CSV


@pytest.mark.parametrize("when", ["between the listing and the first byte", "in the middle"])
def test_a_file_that_is_replaced_while_it_is_read_is_told(
    proxied: Callable[..., CuttingProxy],
    s3_server: S3Server,
    told: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    s3_server.put("s3://shop/new.csv", noise(8 << 20))
    proxied(after=3 << 20, cuts=1)
    answer, asked = expectations.remote_files._S3Answer, []

    def replaced(system: Any, member: Any, start: int) -> Any:
        asked.append(start)
        if bool(start) == (when == "in the middle"):
            s3_server.put("s3://shop/new.csv", noise(9 << 20))
        return answer(system, member, start)

    monkeypatch.setattr(expectations.remote_files, "_S3Answer", replaced)
    assert told("s3://shop/new.csv") == "s3://shop/new.csv was replaced while it was read. Try again."
    assert len(asked) == (2 if when == "in the middle" else 1)


def test_one_file_that_breaks_off_ends_the_others(
    proxied: Callable[..., CuttingProxy], s3_server: S3Server, told: Callable[[str], str]
) -> None:
    for number in range(6):
        s3_server.put(f"s3://shop/new/{number}.csv", CSV)
    s3_server.put("s3://shop/new/2-large.csv", noise(1 << 20))
    proxied(after=100_000)
    assert told("s3://shop/new").startswith("s3://shop/new could not be fetched: ")


# --- disk and memory -----------------------------------------------------------------------------------------------


def test_what_does_not_fit_on_the_disk_is_refused_before_the_first_byte(
    s3_server: S3Server, told: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    s3_server.put("s3://shop/new/a.csv", noise(3_000_000))
    s3_server.put("s3://shop/new/b.csv", noise(3_000_000))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4_000_000))
    message = told("s3://shop/new")
    assert "s3://shop/new holds 6 MB, and " in message
    assert message.endswith("has 4 MB free. Let TMPDIR name a folder on a larger disk, or check fewer files at once.")


FETCH_AND_TELL = """
import re, sys
from pathlib import Path
from expectations.sources import find_sources
found = find_sources([sys.argv[1]], Path(sys.argv[2]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(sum(one.path.stat().st_size for one in found), int(peak) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
def test_memory_does_not_grow_with_the_files(s3_server: S3Server, scratch: Path) -> None:
    s3_server.put("s3://shop/little/a.csv", CSV)
    data = noise(30 << 20)
    for number in range(4):
        s3_server.put(f"s3://shop/much/{number}.csv", data)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    peaks = {}
    for folder in ("little", "much"):
        command = [sys.executable, "-c", FETCH_AND_TELL, f"s3://shop/{folder}", str(scratch)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()
        peaks[folder] = int(answer[1])
        assert int(answer[0]) == (len(CSV) if folder == "little" else 4 * len(data))
    assert peaks["much"] < peaks["little"] + 40  # megabytes; the files are 120


def test_parquet_of_many_files_is_one_batch(s3_server: S3Server, scratch: Path, tmp_path: Path) -> None:
    from expectations.batch import open_batch

    for number in range(5):
        table = pa.table({"text": [f"fits {number} {row}" for row in range(100)], "stars": [5] * 100})
        pq.write_table(table, tmp_path / "part.parquet")
        s3_server.put(f"s3://shop/day=1/part-{number}.parquet", (tmp_path / "part.parquet").read_bytes())
    with open_batch("s3://shop/day=1", scratch=scratch, kind="reviews") as batch:
        assert batch.rows == 500
        assert [source.name for source in batch.sources] == [f"s3://shop/day=1/part-{n}.parquet" for n in range(5)]
