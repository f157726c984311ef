"""Which files does an address elsewhere name, and how do they get here: whole, or not at all?"""

from __future__ import annotations

import base64
import glob
import hashlib
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from expectations.addresses import display_name
from expectations.errors import BatchError
from expectations.remote_errors import BrokenOff, arrived_wrong, explained, is_s3, may_pass

log = logging.getLogger("shopmon.remote_files")

AT_ONCE = 4
"""Files that are fetched at the same time: of many small ones, most time is spent waiting for answers."""
ATTEMPTS = 4
"""How often a file is begun or gone on with, beyond what the protocol's own package tries. An attempt that brought a
megabyte begins the count anew: a large file may be cut off many times, and yet it comes nearer."""
FIRST_WAIT = 0.5
"""Seconds before the second attempt; each wait is twice as long as the one before."""
S3_PATIENCE = {"connect_timeout": 10, "read_timeout": 20, "retries": {"mode": "standard", "max_attempts": 2}}
"""How long S3 may say nothing (seconds), and how often a request is sent, in botocore's words. As they come, a store
that takes connections and never answers would be waited for for half an hour."""
S3_RETRIES = 2
"""How often s3fs asks for one thing; each attempt of ours goes on where the last one ended."""
_CHUNK = 1 << 20
"""Bytes copied and hashed at a time."""
_HEARTBEAT = 0.2
"""Seconds between two words of progress."""

Recognised = TypeVar("Recognised")


@dataclass(frozen=True)
class Arrived(Generic[Recognised]):
    """A file that is here whole."""

    file: Recognised
    """What the caller made of it."""
    sha256: str


@dataclass(frozen=True)
class Wanted(Generic[Recognised]):
    """What the caller wants of an address."""

    is_data: Callable[[str], bool]
    """Whether a file of a folder or glob belongs to the batch, by its name."""
    expected: str
    """What would belong to it, for a person."""
    recognise: Callable[[Path, str], Recognised]
    """(the file here, its name there) → what it is; raises BatchError for what is no data."""


@dataclass(frozen=True)
class _Member:
    path: str
    """As the protocol's package wants it."""
    name: str
    """As a person is shown it."""
    info: dict[str, Any]

    @property
    def size(self) -> int | None:
        """Bytes; None where that is not known before, as on the web, where a length may be that of packed bytes."""
        size = self.info.get("size")
        return size if isinstance(size, int) and "://" not in self.path else None


def fetch_remote(
    address: str, wanted: Wanted[Recognised], scratch: Path, progress: Callable[[str], None]
) -> list[Arrived[Recognised]]:
    """Copy the file, the files of the folder, or the files that a glob matches into `scratch`, in their order.

    Each is copied once, because several narrow scans would otherwise each cross the network: a few files at a time, a
    few megabytes of each in memory. A transfer that breaks off is gone on with where it stopped, as long as it comes
    nearer; a file counts once its size, and its MD5 where the place tells one, are those that were promised.

    Raises BatchError, without secrets, for whatever cannot be had whole; then nothing is left in `scratch`.
    """
    place = _Place(address)
    folder = scratch / f"fetched-{os.urandom(4).hex()}"
    try:
        place.open()
        members = place.members(wanted)
        folder.mkdir(parents=True)
        _check_room(members, folder, address)
        return _Transfer(place.system, members, folder, progress).run(wanted.recognise)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, Exception):
            raise explained(error, address, place.system) from None
        raise


@dataclass(frozen=True)
class Seen:
    """A file elsewhere, of which only its entry in the listing was looked at."""

    address: str = field(repr=False)
    """By which it alone can be fetched; it may hold secrets."""
    name: str
    """As a person is shown it."""
    size: int | None
    """Bytes; None where that is not known before."""
    version: str
    """Another one whenever the file is; empty where the place tells nothing of the kind."""


def list_remote(address: str, wanted: Wanted[Any]) -> list[Seen]:
    """The file, the files of the folder, or the files that a glob matches, in their order; none is fetched.

    Raises BatchError, without secrets, where the place cannot be looked at, and for a chain of addresses with several
    files, which have no addresses of their own.
    """
    place = _Place(address)
    try:
        place.open()
        members = place.members(wanted)
        if len(members) == 1 and members[0].name == display_name(address):
            return [Seen(address, members[0].name, members[0].size, _version(members[0], place.system))]
        if "::" in address:
            raise BatchError(
                f"{display_name(address)} names {len(members):,} files at once",
                advice="Name them one by one, or copy them to a folder first.",
            )
        return [Seen(place.system.unstrip_protocol(m.path), m.name, m.size, _version(m, place.system)) for m in members]
    except Exception as error:
        raise explained(error, address, place.system) from None


def _version(member: _Member, system: Any) -> str:
    """What the place tells of a file's version: its ETag, a number, or else when it was changed."""
    info = member.info or system.info(member.path)
    for name in ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_commit", "mtime", "updated", "created"):
        if info.get(name):
            return f"{name} {info[name]}"
    return ""


# --- which files ----------------------------------------------------------------------------------------------------


class _Place:
    """An address, and the system behind it once it is open."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.system: Any = None
        self._path = ""

    def open(self) -> None:
        import fsspec  # not needed for local files

        own = fsspec.config.conf.get("s3", {})
        s3 = {} if "config_kwargs" in own else {"config_kwargs": S3_PATIENCE}
        options = {protocol: s3 for protocol in ("s3", "s3a") if f"{protocol}://" in self.address}
        self.system, self._path = fsspec.core.url_to_fs(self.address, **options)
        self.system.invalidate_cache()  # the same process may have looked before, and new files have come since
        if is_s3(self.system):
            self.system.retries = S3_RETRIES

    def members(self, wanted: Wanted[Any]) -> list[_Member]:
        """The files behind the address; web addresses name one each, as `?` and `*` may be part of them."""
        system, path = self.system, self._path
        if self.address.startswith(("http://", "https://")):
            return [_Member(path, display_name(self.address), {})]
        if glob.has_magic(path) and not system.exists(path):
            found = system.glob(path, detail=True)
            files = {name: info for name, info in found.items() if info["type"] != "directory"}
            if not files:
                if is_s3(system):
                    system.info(path.partition("/")[0])  # or is there no such bucket?
                raise BatchError(f"no file matches {display_name(self.address)}", advice="Check the pattern.")
            return self._data(files, "", wanted)
        info = system.info(path)
        if info["type"] != "directory":
            return [_Member(path, display_name(self.address), info)]
        return self._data(system.find(path, detail=True), path, wanted)

    def _data(self, files: dict[str, Any], folder: str, wanted: Wanted[Any]) -> list[_Member]:
        def hidden(path: str) -> bool:
            below = path.removeprefix(folder) if folder else PurePosixPath(path).name
            return any(part.startswith((".", "_")) for part in PurePosixPath(below).parts)

        data = [path for path in sorted(files) if not hidden(path) and wanted.is_data(PurePosixPath(path).name)]
        if not data:
            raise BatchError(
                f"{display_name(self.address)} holds no data files", advice=f"Expected are {wanted.expected}."
            )
        return [_Member(path, display_name(self.system.unstrip_protocol(path)), files[path]) for path in data]


def _check_room(members: Sequence[_Member], folder: Path, address: str) -> None:
    """Refuse before the first byte what would fill the disk."""
    needed, free = sum(member.size or 0 for member in members), shutil.disk_usage(folder).free
    if needed > free:
        raise BatchError(
            f"{display_name(address)} holds {_megabytes(needed)}, and {folder.parent} has {_megabytes(free)} free",
            advice="Let TMPDIR name a folder on a larger disk, or check fewer files at once.",
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


# --- on the way -----------------------------------------------------------------------------------------------------


@dataclass
class _Transfer:
    """Files on their way."""

    system: Any
    members: Sequence[_Member]
    folder: Path
    progress: Callable[[str], None]
    _here: int = 0
    _bytes: int = 0
    _trouble: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, recognise: Callable[[Path, str], Recognised]) -> list[Arrived[Recognised]]:
        """Fetch all; the first that fails ends the others."""
        with ThreadPoolExecutor(min(AT_ONCE, len(self.members)), thread_name_prefix="shopmon-fetch") as pool:
            on_the_way = [
                pool.submit(self._fetched, number, member, recognise) for number, member in enumerate(self.members)
            ]
            try:
                self._watch(on_the_way)
                return [one.result() for one in on_the_way]
            except BaseException:
                self._stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _watch(self, on_the_way: Sequence[Future[Any]]) -> None:
        """Tell how far it is until all are here or one has failed."""
        total = sum(member.size or 0 for member in self.members)
        of = f" of {_megabytes(total)}" if total else ""
        what = self.members[0].name if len(self.members) == 1 else ""
        while True:
            files = what or f"{self._here:,} of {len(self.members):,} files"
            self.progress(f"fetching {files}, {self._bytes / 1e6:,.0f}{of or ' MB'}{self._trouble}")
            done, left = wait(on_the_way, timeout=_HEARTBEAT, return_when=FIRST_EXCEPTION)
            for one in done:
                one.result()  # which raises what went wrong
            if not left:
                return

    def _fetched(
        self, number: int, member: _Member, recognise: Callable[[Path, str], Recognised]
    ) -> Arrived[Recognised]:
        plain = PurePosixPath(re.split(r"[?#]", member.path)[0] if "://" in member.path else member.path).name
        folder = self.folder / str(number)
        folder.mkdir()
        path, aside = folder / (re.sub(r"[^\w.-]", "_", unquote(plain))[-100:] or "data"), folder / ".partial"
        sha256 = self._copied_whole(member, aside)
        aside.rename(path)
        with self._lock:
            self._here += 1
        return Arrived(recognise(path, member.name), sha256)

    def _copied_whole(self, member: _Member, aside: Path) -> str:
        """Copy a file, go on with it when its transfer breaks off, and return its SHA-256 once it is as promised."""
        copy, attempt = _Copy(member, self.system), 0
        while True:
            before = copy.bytes
            try:
                with aside.open("ab") as target:
                    copy.go_on(target, self._count)
                copy.check()
                return copy.sha256.hexdigest()
            except Exception as error:
                going_on = copy.can_go_on(error)
                attempt = 1 if going_on and copy.bytes - before >= _CHUNK else attempt + 1
                if attempt == ATTEMPTS or self._stopping.is_set() or not may_pass(error):
                    raise
                log.info("%s: %s; attempt %d of %d follows", member.name, error, attempt + 1, ATTEMPTS)
                if not going_on:
                    self._count(-copy.bytes)
                    aside.unlink()
                    copy = _Copy(member, self.system)
                self._trouble = f" (a transfer broke off; attempt {attempt + 1} of {ATTEMPTS})"
                if self._stopping.wait(FIRST_WAIT * 2 ** (attempt - 1)):
                    raise

    def _count(self, size: int) -> None:
        if self._stopping.is_set():
            raise BrokenOff("another file could not be fetched")
        with self._lock:
            self._bytes += size


class _Copy:
    """As much of one file as has arrived."""

    def __init__(self, member: _Member, system: Any) -> None:
        self.sha256 = hashlib.sha256()
        self.bytes = 0
        self._member = member
        self._system = system
        self._promised_md5 = _promised_md5(member, system)
        self._md5 = hashlib.md5(usedforsecurity=False)

    def go_on(self, target: Any, count: Callable[[int], None]) -> None:
        """Append what has not arrived yet."""
        with self._opened() as source:
            while chunk := source.read(_CHUNK):
                self.sha256.update(chunk)
                if self._promised_md5:
                    self._md5.update(chunk)
                target.write(chunk)
                self.bytes += len(chunk)
                count(len(chunk))

    def can_go_on(self, error: Exception) -> bool:
        """Whether the next attempt may begin where this one ended; the web's answers cannot all be entered midway."""
        return "://" not in self._member.path and not arrived_wrong(error)

    def check(self) -> None:
        """Raise BrokenOff unless what arrived is what was promised; aiohttp itself notices a broken-off answer."""
        name, size = self._member.name, self._member.size
        if size is not None and size != self.bytes:
            raise BrokenOff(f"{name} broke off: {self.bytes:,} of {size:,} bytes arrived")
        if self._promised_md5 and self._md5.hexdigest() != self._promised_md5 and not self._is_encrypted():
            raise BrokenOff(
                f"{name} arrived damaged: the MD5 of its {self.bytes:,} bytes is {self._md5.hexdigest()}, "
                f"and it should be {self._promised_md5}"
            )

    def _opened(self) -> Any:
        """What has not arrived yet, as a file."""
        if is_s3(self._system):
            return _S3Answer(self._system, self._member, self.bytes)
        if not self.bytes:
            return self._system.open(self._member.path, "rb")
        self._system.invalidate_cache()
        if self._system.info(self._member.path).get("size") != self._member.size:
            raise BatchError(f"{self._member.name} was replaced while it was read", advice="Try again.")
        source = self._system.open(self._member.path, "rb")
        source.seek(self.bytes)
        return source

    def _is_encrypted(self) -> bool:
        """Whether the store encrypts with keys of its own, or of the sender's: its ETag is then no MD5."""
        bucket, key, version = self._system.split_path(self._member.path)
        asked = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        told = self._system.call_s3("head_object", **asked)
        return bool(told.get("SSECustomerAlgorithm")) or told.get("ServerSideEncryption") not in (None, "AES256")


class _S3Answer:
    """The rest of a file as one answer of S3, to read from.

    s3fs' own files ask for one range after another and wait for each, which takes twice as long. Raises what s3fs does;
    of a file that is another one by now, an OSError whose cause has the status 412.
    """

    def __init__(self, system: Any, member: _Member, start: int) -> None:
        bucket, key, version = system.split_path(member.path)
        etag = member.info.get("ETag")
        asked = {
            **({"VersionId": version} if version else {}),
            **({"Range": f"bytes={start}-"} if start else {}),
            **({"IfMatch": etag} if etag else {}),
        }
        self._system = system
        self._body = system.call_s3("get_object", Bucket=bucket, Key=key, **asked)["Body"]

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        from fsspec.asyn import sync

        read: bytes = sync(self._system.loop, self._body.read, size)
        return read

    def __enter__(self) -> _S3Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self._system.loop.call_soon_threadsafe(self._body.close)


def _promised_md5(member: _Member, system: Any) -> str | None:
    """The MD5 that the place tells of a file, in hexadecimal; None where it tells none.

    The ETag of S3 is one unless it was uploaded in parts ("…-12") or lies in a directory bucket ("…--x-s3").
    """
    etag = str(member.info.get("ETag", "")).strip('"')
    if is_s3(system) and re.fullmatch("[0-9a-f]{32}", etag) and not member.path.partition("/")[0].endswith("--x-s3"):
        return etag
    told = member.info.get("md5Hash")  # of Google's storage
    return base64.b64decode(told).hex() if isinstance(told, str) else None
