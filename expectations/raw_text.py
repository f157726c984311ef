"""Which bytes does a text file hold once it is unpacked, and in which encoding?"""

from __future__ import annotations

import codecs
import gzip
import io
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from expectations.errors import BatchError

SAMPLE_BYTES = 64 << 10
"""Looked at before reading; more, where the first lines are long."""
SAMPLE_LINES = 20
SAMPLE_MOST = 64 << 20
"""No line end within so many bytes: not a file of records."""
BLOCK_BYTES = 4 << 20
"""Read at a time; a longer line is read whole."""

# The longer marks stand first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PLAIN = '\r\n\t,;|"\\{}[]:aZ09'
"""Characters on which records are split: an encoding must write them as ASCII does, or the file is transcoded first."""


@dataclass(frozen=True)
class RawText:
    """A text file that can be read in blocks of lines, each line as the bytes it was written in."""

    name: str
    path: Path
    gzipped: bool
    encoding: str = "utf-8"
    stated: bool = False
    """Whether the encoding is known (given, or by a byte order mark) and not assumed."""
    mark: int = 0
    """Bytes of the byte order mark, skipped."""
    sample: bytes = b""
    """The first lines, without the mark."""
    whole: bool = False
    """Whether the sample is all there is."""

    def sample_lines(self) -> list[bytes]:
        """The complete lines of the sample."""
        lines = _split(self.sample, self._line_end)
        return lines if self.whole else lines[:-1]

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[list[bytes]]:
        """Give all lines, their ends included, in lists of about `size` bytes; the last line may have no end.

        Raises BatchError when a packed file is truncated or corrupt.
        """
        with _opened(self) as file:
            file.read(self.mark)
            if self._line_end == b"\n":
                while block := file.readlines(size):
                    yield block
                return
            rest = b""
            while piece := file.read(size):
                lines = _split(rest + piece, self._line_end)
                rest = b"" if lines[-1].endswith(self._line_end) else lines.pop()
                if lines:
                    yield lines
            if rest:
                yield [rest]

    @property
    def _line_end(self) -> bytes:
        # Before 2001 a Macintosh ended lines with a carriage return alone, and Excel still offers it.
        return b"\r" if b"\r" in self.sample and b"\n" not in self.sample else b"\n"


def open_text(path: Path, name: str, scratch: Path, encoding: str | None = None) -> RawText:
    """Look at the beginning of a (possibly gzip-packed) text file and settle its encoding.

    UTF-8 is assumed unless `encoding` or a byte order mark says otherwise. UTF-16, UTF-32 and other encodings that do
    not contain ASCII are rewritten as UTF-8 into `scratch`, as records are split on ASCII bytes. A file of nothing but
    white space gives an empty sample.

    Raises BatchError for an unknown encoding, packed bytes that are broken, bytes that are no text, and no line ends.
    """
    text = RawText(name=name, path=path, gzipped=path.name.lower().endswith(".gz"))
    with _opened(text) as file:
        start = file.read(4)
    marked = next(((mark, codec) for mark, codec in _MARKS if start.startswith(mark)), None)
    if encoding is not None:
        _check_encoding(encoding)
        text = replace(text, encoding=encoding, stated=True)
    elif marked is not None:
        text = replace(text, encoding=marked[1], stated=True)
    if not _contains_ascii(text.encoding):
        text = _transcoded(text, scratch)
    elif marked is not None and marked[1] == "utf-8":
        text = replace(text, mark=len(marked[0]))
    return _sampled(text)


def _check_encoding(encoding: str) -> None:
    try:
        "a".encode(encoding).decode(encoding, "surrogateescape")
    except (LookupError, UnicodeError):
        advice = "Known are utf-8, cp1252 (Western Windows), latin-1, utf-16, shift_jis and Python's other names."
        raise BatchError(f"{encoding!r} is no text encoding", advice=advice) from None


def _contains_ascii(encoding: str) -> bool:
    try:
        return _PLAIN.encode(encoding) == _PLAIN.encode("ascii")
    except UnicodeError:
        return False


def _transcoded(text: RawText, scratch: Path) -> RawText:
    """Rewrite a file as UTF-8. What cannot be decoded becomes a byte that no UTF-8 holds, so its record is rejected."""
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / f"{uuid.uuid4().hex}.utf8"
    decoder = codecs.getincrementaldecoder(text.encoding)("replace_by_ff")
    try:
        with _opened(text) as file, target.open("wb") as out:
            first = True
            while piece := file.read(BLOCK_BYTES):
                decoded = decoder.decode(piece)
                out.write(_as_utf8(decoded.removeprefix("\ufeff") if first else decoded))
                first = first and not decoded
            out.write(_as_utf8(decoder.decode(b"", final=True)))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return replace(text, path=target, gzipped=False, encoding="utf-8")


def _as_utf8(decoded: str) -> bytes:
    return decoded.encode("utf-8", "surrogateescape")


def _mark_undecodable(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - the handler is used for decoding only
    return "\udcff", error.end


codecs.register_error("replace_by_ff", _mark_undecodable)


def _sampled(text: RawText) -> RawText:
    with _opened(text) as file:
        file.read(text.mark)
        sample = file.read(SAMPLE_BYTES)
        while sample and len(sample) < SAMPLE_MOST and sample.count(b"\n") + sample.count(b"\r") < SAMPLE_LINES:
            more = file.read(len(sample))
            if not more:
                break
            sample += more
        whole = not file.read(1)
    nuls = sample.count(b"\0")
    if nuls * 20 > len(sample):
        raise BatchError(
            f"{text.name} is binary, or UTF-16 without a byte order mark: "
            f"{nuls:,} of its first {len(sample):,} bytes are NUL",
            advice="If it is text, pass --encoding utf-16-le (or utf-16-be); otherwise deliver it as text.",
        )
    if not whole and b"\n" not in sample and b"\r" not in sample:
        raise BatchError(f"{text.name} has no line end in its first {len(sample):,} bytes", advice="Is it text?")
    return replace(text, sample=sample, whole=whole)


@contextmanager
def _opened(text: RawText) -> Iterator[BinaryIO]:
    try:
        if not text.gzipped:
            with text.path.open("rb", buffering=1 << 20) as file:
                yield file
            return
        with gzip.open(text.path, "rb") as packed, io.BufferedReader(cast(io.RawIOBase, packed), 1 << 20) as unpacked:
            yield cast(BinaryIO, unpacked)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BatchError(
            f"{text.name} is a truncated or corrupt gzip file ({text.path.stat().st_size:,} bytes): {error}",
            advice="Deliver it again, and compare its size with the sender's.",
        ) from error


def _split(data: bytes, line_end: bytes) -> list[bytes]:
    lines = [line + line_end for line in data.split(line_end)]
    lines[-1] = lines[-1].removesuffix(line_end)
    return lines if lines[-1] or len(lines) == 1 else lines[:-1]
