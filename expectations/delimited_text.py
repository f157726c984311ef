"""What does this delimited text (CSV, TSV) say, record by record?"""

from __future__ import annotations

import csv
import operator
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from expectations.column_names import check_names
from expectations.errors import BatchError
from expectations.raw_text import RawText, open_text
from expectations.scratch_parquet import ScratchParquet, Written

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

LONGEST_RECORD = 1_000
"""Lines. A quoted text may hold line ends; over more lines than this it is asked whether a quote was left open."""

MOST = 0.5
"""Share of records that must have the header's number of fields; below it, the header or the delimiter is wrong."""

_NOT_DECODED = "the bytes are not valid {}"
_NUL = "a NUL byte"
_OPEN_QUOTE = "a quote is opened and never closed"
_DATUM = re.compile(r"[+-]?\d+([.,]\d+)?%?|\d{4}-\d\d?-\d\d?([ T].*)?|\d\d?[./]\d\d?[./]\d{2,4}")


def read_delimited(
    path: Path,
    name: str,
    scratch: Path,
    *,
    expected: str,
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Callable[[int], None],
) -> Written:
    """Read CSV or TSV (gzip too) into parquet: every column text, exactly as written, an empty unquoted field null.

    The delimiter is sniffed among `, ; tab |` unless given; `expected` is what the file's name promises. Quoting is
    RFC 4180. Blank lines are no records. A record that cannot be read is rejected with its bytes and a reason: bytes
    that are not text, a NUL, a wrong number of fields, a faulty quote. A quote left open costs its own line only:
    reading goes on with the next.

    Raises BatchError when the header is unusable, most records have another number of fields than the header, or none
    can be read. A header without records gives 0 rows.
    """
    csv.field_size_limit(2**31 - 1)  # a limit of the whole process; the default, 128 kB, is less than some reviews
    text = open_text(path, name, scratch, encoding)
    try:
        return _Reading(text, expected, _one_character(delimiter), progress).into(scratch)
    finally:
        if text.path != path:
            text.path.unlink(missing_ok=True)


def _one_character(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    character = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(character) != 1 or character in '"\r\n\0':
        raise BatchError(f"{delimiter!r} is no delimiter", advice="Give one character, or tab.")
    return character


# --- splitting lines into records -----------------------------------------------------------------------------------


@dataclass
class _Records:
    """Records of some lines: record i stands on lines ends[i-1] to ends[i]."""

    rows: list[list[str]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)
    """Why record i could not be read."""

    @property
    def consumed(self) -> int:
        """Lines that belong to these records; the rest is the beginning of one that is not complete yet."""
        return self.ends[-1] if self.ends else 0

    def add(self, row: list[str], end: int, fault: str | None = None) -> None:
        if fault is not None:
            self.faults[len(self.rows)] = fault
        self.rows.append(row)
        self.ends.append(end)


def _split(lines: Sequence[str], delimiter: str, width: int | None, last: bool) -> _Records:
    """Split decoded lines into records of `width` fields (None: as many as the first has).

    Unless these are the `last` lines, a record still open at their end is left for the next call.
    """
    found = _Records()
    while found.consumed < len(lines):
        base = found.consumed
        # A slice would copy all that is left, for every fault.
        rest = map(lines.__getitem__, range(base, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, strict=True)
        before = 0
        try:
            for row in reader:
                line = reader.line_num
                if len(row) != width or line - before > LONGEST_RECORD:
                    width = len(row) if width is None and row else width
                    if _left_open(lines, base + before, base + line, delimiter, width, row):
                        found.add([], base + before + 1, _OPEN_QUOTE)
                        break  # and begin anew on the line after the open quote
                    wrong = bool(row) and len(row) != width
                    found.add(row, base + line, _wrong_width(len(row), width) if wrong else None)
                else:
                    found.rows.append(row)
                    found.ends.append(base + line)
                before = line
        except csv.Error as error:
            first, end = found.consumed, base + reader.line_num
            if "unexpected end" in str(error):
                if not last and not _left_open(lines, first, end, delimiter, width, None):
                    break
                found.add([], first + 1, _OPEN_QUOTE)
            elif _left_open(lines, first, end, delimiter, width, []):
                found.add([], first + 1, _OPEN_QUOTE)
            else:
                found.add([], end, _malformed(error))
    return found


def _left_open(
    lines: Sequence[str], first: int, end: int, delimiter: str, width: int | None, row: list[str] | None
) -> bool:
    """Whether the record on lines first..end swallowed its neighbours: it is broken, or very long, and the lines after
    its first are records by themselves. (`row` is None for a record that has not ended yet.)"""
    if end - first < 2 or width is None:
        return False
    broken = row is not None and len(row) != width
    if not broken and end - first <= LONGEST_RECORD:
        return False
    following = lines[first + 1 : min(end, first + (2 if broken else 1 + LONGEST_RECORD // 10))]
    return sum(_is_record(line, delimiter, width) for line in following) * 2 > len(following)


def _is_record(line: str, delimiter: str, width: int) -> bool:
    try:
        return [len(row) for row in csv.reader([line], delimiter=delimiter, strict=True)] == [width]
    except csv.Error:
        return False


def _wrong_width(fields: int, width: int | None) -> str:
    return f"{fields:,} {'field' if fields == 1 else 'fields'}, the header has {width:,}"


def _malformed(error: csv.Error) -> str:
    if "new-line" in str(error):
        return "a carriage return stands outside quotes"
    return "a quote inside a quoted field is not doubled"


# --- the dialect ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    header: list[str]
    header_lines: int
    """Lines up to the end of the header, blank ones included."""
    first_rows: list[list[str]]


def _dialect(text: RawText, expected: str, given: str | None) -> _Dialect:
    lines = list(_decoded(text.sample_lines(), text.encoding)[0])
    order = [given] if given else sorted(DELIMITERS, key=lambda one: one != expected)
    tried = [(one, _split(lines, one, None, text.whole)) for one in order]
    # max keeps the first of equals: what the file's name promises
    delimiter, records = max(tried, key=lambda one: _consistency(one[1]))
    if _consistency(records) == (0, 0):
        delimiter, records = tried[0]  # one column, or nothing consistent
    full = [i for i, row in enumerate(records.rows) if row or i in records.faults]
    if not full and text.sample.strip():
        raise BatchError(f"the header of {text.name} cannot be read: {_OPEN_QUOTE}", advice="Repair it.")
    if not full:
        raise BatchError(f"{text.name} holds no records, only white space", advice="Was it written completely?")
    if full[0] in records.faults:
        raise BatchError(f"the header of {text.name} cannot be read: {records.faults[full[0]]}", advice="Repair it.")
    _check_not_ragged(text.name, records, full, DELIMITERS.get(delimiter, repr(delimiter)))
    first_rows = [records.rows[i] for i in full[1:] if i not in records.faults]
    return _Dialect(delimiter, records.rows[full[0]], records.ends[full[0]], first_rows)


def _consistency(records: _Records) -> tuple[float, int]:
    """Rank a delimiter: share of records with the header's number of fields (to 5 %), then that number."""
    widths = [
        0 if i in records.faults else len(row) for i, row in enumerate(records.rows) if row or i in records.faults
    ]
    if not widths or widths[0] < 2:
        return 0, 0
    share = (widths[1:].count(widths[0]) + 1) / len(widths)
    return (round(share * 20) / 20, widths[0]) if share > MOST or len(widths) == 1 else (0, 0)


def _check_not_ragged(name: str, records: _Records, full: list[int], delimiter: str) -> None:
    width = len(records.rows[full[0]])
    wrong = [i for i in full[1:] if len(records.rows[i]) != width and records.rows[i]]
    if len(wrong) <= MOST * (len(full) - 1):
        return
    typical = Counter(len(records.rows[i]) for i in wrong).most_common(1)[0][0]
    raise _ragged(name, width, typical, records.ends[wrong[0] - 1] + 1, f"separated by {delimiter}")


def _ragged(name: str, width: int, typical: int, line: int, how: str) -> BatchError:
    return BatchError(
        f"{name} is ragged, {how}: its header has {width:,} {'field' if width == 1 else 'fields'}, most records have "
        f"{f'{typical:,}' if typical != width else 'another number'}; the first is on line {line:,}",
        advice="Is the header complete, and this the delimiter? Otherwise pass --delimiter, or write it again.",
    )


def _check_header(header: list[str], first_rows: list[list[str]], text: RawText) -> None:
    if any("\udc80" <= character <= "\udcff" for name in header for character in name):
        raise BatchError(
            f"the header of {text.name} is not valid {text.encoding}",
            advice="Pass the encoding it was written in, for example --encoding cp1252.",
        )
    if _is_data(header, first_rows):
        shown = ", ".join(repr(value[:30]) for value in header[:4])
        raise BatchError(
            f"{text.name} seems to have no header: its first line is data ({shown})",
            advice="Put a line with the names of the columns in front.",
        )
    check_names(header, text.name)


def _is_data(header: list[str], first_rows: list[list[str]]) -> bool:
    """Whether a header cell is a number or a date above others of its sort. Years and 0, 1, 2 … may be names."""
    data = [i for i, cell in enumerate(header) if _DATUM.fullmatch(cell.strip())]
    values = [header[i].strip() for i in data]
    if all(re.fullmatch("(19|20)[0-9]{2}", value) for value in values):
        return False
    if values == [str(number) for number in range(len(header))]:
        return False
    rows = [row for row in first_rows if len(row) == len(header)]
    return bool(rows) and any(sum(bool(_DATUM.fullmatch(row[i].strip())) for row in rows) * 2 > len(rows) for i in data)


# --- reading --------------------------------------------------------------------------------------------------------


def _decoded(lines: list[bytes], encoding: str) -> tuple[Sequence[str], set[int]]:
    """Decode lines; also say which could not be: their bytes become lone surrogates, and splitting goes on."""
    try:
        return list(map(operator.methodcaller("decode", encoding), lines)), set()
    except UnicodeError:
        texts = [line.decode(encoding, "surrogateescape") for line in lines]
        return texts, {i for i, text in enumerate(texts) if not text.isascii() and _SURROGATE.search(text)}


_SURROGATE = re.compile("[\udc80-\udcff]")


class _Reading:
    """One pass over one file."""

    def __init__(self, text: RawText, expected: str, given: str | None, progress: Callable[[int], None]) -> None:
        dialect = _dialect(text, expected, given)
        _check_header(dialect.header, dialect.first_rows, text)
        self._text = text
        self._progress = progress
        self._delimiter = dialect.delimiter
        self._header = dialect.header
        self._skip = dialect.header_lines
        self._expected = expected if given is None else given
        self._records = 0
        self._lines = 0
        """Lines of the file before the block at hand."""
        self._widths: Counter[int] = Counter()
        self._first_wrong = 0
        self._undecodable = 0
        self._not_ascii = 0
        self._blank = 0

    def into(self, scratch: Path) -> Written:
        schema = pa.schema([pa.field(name, pa.string()) for name in self._header])
        with ScratchParquet(scratch, schema, self._progress) as out:
            for lines, texts, bad, records in self._blocks():
                self._take(out, lines, texts, bad, records)
                self._lines += records.consumed
            self._check_outcome(out)
            return out.written(self._notes())

    def _blocks(self) -> Iterator[tuple[list[bytes], Sequence[str], set[int], _Records]]:
        """Give lines with the records that are complete in them; what is open is carried into the next block."""
        carried: list[bytes] = []
        skip = self._skip
        for block, last in _with_last(self._text.blocks()):
            lines = carried + block
            if skip:
                if len(lines) < skip and not last:
                    carried = lines
                    continue
                lines, self._lines, skip = lines[skip:], skip, 0
            texts, bad = _decoded(lines, self._text.encoding)
            records = _split(texts, self._delimiter, len(self._header), last)
            yield lines, texts, bad, records
            carried = lines[records.consumed :]

    def _take(
        self, out: ScratchParquet, lines: list[bytes], texts: Sequence[str], bad: set[int], found: _Records
    ) -> None:
        used = lines[: found.consumed]
        joined = b"".join(used)
        if not joined.isascii():
            self._not_ascii += sum(not line.isascii() for line in used)
        bad_lines = dict.fromkeys(bad, _NOT_DECODED.format(self._text.encoding))
        if b"\0" in joined:
            bad_lines |= {i: _NUL for i, line in enumerate(used) if b"\0" in line}
        good = self._good(out, lines, bad_lines, found)
        if not good:
            return
        rows = [found.rows[i] for i in good] if len(good) < len(found.rows) else found.rows
        columns = [[cell or None for cell in column] for column in zip(*rows, strict=True)]
        if b'""' in joined:
            for i in self._with_quoted_empty(used, found):
                place = bisect_left(good.indices, i)
                if place < len(good) and good.indices[place] == i:
                    span = slice(found.ends[i - 1] if i else 0, found.ends[i])
                    for j in _quoted_empty(found.rows[i], "".join(texts[span]), self._delimiter):
                        columns[j][place] = ""
        out.add(pa.array(good.numbers, pa.int64()), [pa.array(column, pa.string()) for column in columns])

    def _with_quoted_empty(self, lines: list[bytes], found: _Records) -> list[int]:
        """Records that may hold a quoted empty field: few, so only they are looked at closely."""
        after = f'{self._delimiter}""'.encode(self._text.encoding)
        suspects = {bisect_right(found.ends, k) for k, line in enumerate(lines) if after in line or line[:2] == b'""'}
        return [i for i in suspects if "" in found.rows[i]]

    def _good(self, out: ScratchParquet, lines: list[bytes], bad_lines: dict[int, str], found: _Records) -> _Good:
        """Number the records, reject those that cannot be read, and say which are left."""
        first = self._records + 1
        if not bad_lines and not found.faults and [] not in found.rows:
            self._records += len(found.rows)
            return _Good(range(len(found.rows)), range(first, self._records + 1))
        indices: list[int] = []
        numbers: list[int] = []
        start = 0
        for i, (row, end) in enumerate(zip(found.rows, found.ends, strict=True)):
            fault = found.faults.get(i)
            if row or fault:
                self._records += 1
                bad = (
                    next((bad_lines[line] for line in range(start, end) if line in bad_lines), None)
                    if bad_lines
                    else None
                )
                if bad or fault:
                    self._note_fault(bad, row, self._lines + start + 1)
                    out.reject(self._records, bad or fault or "", b"".join(lines[start:end]))
                else:
                    indices.append(i)
                    numbers.append(self._records)
            else:
                self._blank += 1
            start = end
        return _Good(indices, numbers)

    def _note_fault(self, bad: str | None, row: list[str], line: int) -> None:
        if bad:
            self._undecodable += bad != _NUL
        elif row:  # its only fault is the number of its fields
            self._first_wrong = self._first_wrong or line
            self._widths[len(row)] += 1

    def _check_outcome(self, out: ScratchParquet) -> None:
        wrong = self._widths.total()
        if wrong > MOST * self._records:
            how = f"separated by {DELIMITERS.get(self._delimiter, repr(self._delimiter))}"
            typical = self._widths.most_common(1)[0][0]
            raise _ragged(self._text.name, len(self._header), typical, self._first_wrong, how)
        if out.rejected_rows and not out.rows:
            what = f"none of the {self._records:,} records" if self._records > 1 else "the only record"
            encoding = self._encoding_note()
            raise BatchError(
                f"{what} of {self._text.name} could be read: {out.first_reason}",
                advice=f"{encoding[0].upper()}{encoding[1:]}." if encoding else "Write the file again.",
            )

    def _notes(self) -> list[str]:
        notes = []
        name = self._text.name
        if self._delimiter != self._expected:
            used = DELIMITERS.get(self._delimiter, repr(self._delimiter))
            notes.append(f"{name} is separated by {used}, not by {DELIMITERS[self._expected]}")
        if self._blank:
            notes.append(f"{name} has {self._blank:,} blank {'line' if self._blank == 1 else 'lines'}, left out")
        often = self._undecodable > 0.01 * self._records
        if often or (self._not_ascii >= 20 and self._undecodable * 2 > self._not_ascii):
            notes.append(f"{self._undecodable:,} of {self._records:,} records of {name}: {self._encoding_note()}")
        return notes

    def _encoding_note(self) -> str:
        if not self._undecodable:
            return ""
        if self._text.stated:
            return f"not valid {self._text.encoding}; is that the encoding? Pass another with --encoding"
        return "not UTF-8; it looks like Latin-1 or cp1252 (Windows): pass --encoding cp1252"


@dataclass(frozen=True)
class _Good:
    """Which records of a block could be read, and their numbers in the file."""

    indices: Sequence[int]
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def _quoted_empty(row: list[str], record: str, delimiter: str) -> list[int]:
    """Which empty fields are quoted (an empty text) and not bare (null): the csv module does not tell.

    >>> _quoted_empty(["a", "", ""], 'a,,""', ",")
    [2]
    """
    end = re.escape(delimiter)
    # A quoted field, and what may follow its quote; or all up to the next delimiter.
    fields = re.compile(rf'("[^"]*(?:""[^"]*)*"[^{end}\r\n]*|[^{end}\r\n]*)(?:{end}|[\r\n]+|$)')
    place = 0
    found: list[int] = []
    for j, cell in enumerate(row):
        match = fields.match(record, place)
        assert match is not None  # noqa: S101 - the second branch matches anything
        if not cell and match[1]:
            found.append(j)
        place = match.end()
    return found


def _with_last(blocks: Iterable[list[bytes]]) -> Iterator[tuple[list[bytes], bool]]:
    """Give every block, and whether it is the last; one empty block where there is none."""
    before: list[bytes] = []
    for block in blocks:
        if before:
            yield before, False
        before = block
    yield before, True
