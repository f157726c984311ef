"""Does a check's memory stay bounded, and does its time grow in proportion to the rows?

    python benchmarks/scale.py --folder /data/scale --rows 1000000,10000000,30000000
    python benchmarks/scale.py --folder /data/scale --rows 3000000 --bad 0.3 --suite fifteen

The folder gets a shop with a reference of 100,000 reviews and files of a million reviews each, as many as the largest
size asks for; what is there already is used again. One file is generated. The others hold the same reviews under ids of
their own, each text with two common words behind it that differ from file to file, so that no text repeats in another
one. Of `--bad` rows the stars lie beyond five: so many more go into quarantine.

Every size is a whole check, drift and edge cases among it, in a process of its own. `fixed` is what a check of 1,000 of
these rows takes, `exponent` is the slope of log(time) over log(rows): of the time as it is, and of what is beyond the
fixed part. The peak is the largest resident size of the process, DuckDB's buffers included; `spilled` the most that its
scratch folder held.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
A_FILE = 1_000_000
"""Rows of a file."""
FEW, REFERENCE_ROWS = 1_000, 100_000
SHOP = "shop"
WORDS = [
    *("really", "nice", "good", "great", "soft", "warm", "light", "comfortable", "perfect", "lovely", "fine", "happy"),
    *("pretty", "cute", "simple", "quick", "easy", "small", "large", "long", "short", "thick", "thin", "blue", "black"),
    *("white", "green", "red", "new", "old", "cheap", "strong"),
]
"""Words of which every text gets two: 32 times 32 endings, one for each file."""


@dataclass(frozen=True)
class Measured:
    """One check."""

    rows: int
    seconds: float
    """Of the whole process, imports and start included."""
    cpu: float
    """Seconds of all cores."""
    peak: float
    """Bytes of resident memory at most."""
    spilled: float
    """Bytes that the scratch folder held at most."""
    quarantined: int
    status: str


# --- data -----------------------------------------------------------------------------------------------------------


def make(folder: Path, rows: int, bad: float) -> list[Path]:
    """The files that hold so many rows, made where they are missing; a smaller last one where the rows ask for it."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    base = folder / "generated.parquet"
    if not base.exists():
        aside = base.with_suffix(".aside")
        command = [sys.executable, str(HERE / "generate.py"), "--rows", str(A_FILE), "--out", str(aside)]
        subprocess.run(command, check=True, env=_environment())
        aside.rename(base)
    files = []
    with duckdb.connect() as connection:
        for number in range(math.ceil(rows / A_FILE)):
            some = min(A_FILE, rows - number * A_FILE)
            name = f"{number:04}.parquet" if some == A_FILE else f"{number:04}-{some}.parquet"
            file = folder / f"bad-{bad}" / name
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                _copy(connection, base, file, number, some, bad)
            files.append(file)
    return files


def _copy(connection: object, base: Path, file: Path, number: int, rows: int, bad: float) -> None:
    aside = file.with_suffix(".aside")
    words = f"{list(WORDS)}::varchar[]"
    place = f"(file_row_number + {number}) % {len(WORDS) ** 2}"
    ending = f"' ' || ({words})[{place} // {len(WORDS)} + 1] || ' ' || ({words})[{place} % {len(WORDS)} + 1] || '.'"
    stars = f"case when hash(file_row_number, 'bad') < {int(bad * (2**64 - 1))}::ubigint then 9 else stars end"
    connection.sql(  # type: ignore[attr-defined]
        f"copy (select * exclude (file_row_number) replace (id || '-{number}' as id, text || {ending} as text, "
        f"({stars})::bigint as stars) from read_parquet('{base}', file_row_number = true) limit {rows}) "
        f"to '{aside}' (format parquet, compression zstd)"
    )
    aside.rename(file)


def make_shop(folder: Path, suite: str) -> Path:
    """A project with a reference of its own and the words of the Nike experiment."""
    import check as one_file

    shop = folder / f"{SHOP}-{suite}"
    if not shop.exists():
        example = (HERE.parent / "examples" / "nike" / "shopmon.toml").read_text()
        words = example[example.index("[edge_cases.words]") : example.index("# The hackathon's rule")]
        making = folder / f"{SHOP}-{os.getpid()}.aside"
        making.mkdir()
        chosen = "" if suite == "own" else '[check]\nsuite = "fifteen.yaml"\n\n'
        one_file._suite(making)
        (making / "shopmon.toml").write_text(chosen + words)
        before = make(folder / "before", REFERENCE_ROWS, 0.0)
        set_reference = (
            "import sys; from shopmon.references import set_reference as s; s(sys.argv[1], project=sys.argv[2])"
        )
        subprocess.run([sys.executable, "-c", set_reference, *map(str, before), str(making)], check=True,
                       env=_environment())  # fmt: skip
        making.rename(shop)
    return shop


# --- measuring ------------------------------------------------------------------------------------------------------


def run_one(files: Sequence[Path], shop: Path) -> None:
    """In a process of its own: check, and print what it took."""
    from shopmon.checking import check

    result = check([*map(str, files)], project=shop)
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"rows": result.rows, "cpu": used.ru_utime + used.ru_stime, "peak": _peak()}
    print(json.dumps({**told, "quarantined": result.quarantined, "status": result.status.value}))


def _peak() -> int:
    """Bytes of resident memory at most. `ru_maxrss` would begin with what the parent held when it forked."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def measure(files: Sequence[Path], shop: Path, scratch: Path) -> Measured:
    with tempfile.TemporaryDirectory(dir=scratch) as folder, _watched(Path(folder)) as spilled:
        project = shutil.copytree(shop, Path(folder) / SHOP)
        command = [sys.executable, __file__, "--one", str(project), "--folder", *map(str, files)]
        start = time.perf_counter()
        environment = _environment() | {"TMPDIR": folder}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-2000:])
        return Measured(seconds=seconds, spilled=max(spilled), **json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def _watched(folder: Path) -> Iterator[list[float]]:
    """Look every half second at what lies in DuckDB's spill folders."""
    seen, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            seen.append(float(sum(_size(file) for file in folder.glob("shopmon-*/spill/*"))))

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield seen
    finally:
        ended.set()
        watching.join()


def _size(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE.parent), "DO_NOT_TRACK": "1"}


def exponent(rows: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log(seconds) over log(rows), by least squares.

    >>> round(exponent([1, 10, 100], [2, 20, 200]), 6)
    1.0
    """
    x, y = [math.log(n) for n in rows], [math.log(max(s, 1e-9)) for s in seconds]
    middle, height = sum(x) / len(x), sum(y) / len(y)
    along = sum((a - middle) * (b - height) for a, b in zip(x, y, strict=True))
    return along / sum((a - middle) ** 2 for a in x)


def table(fixed: Measured, found: Sequence[Measured]) -> str:
    lines = [
        "| rows | seconds | CPU s | rows/s | peak GB | spilled GB | in quarantine | ended |",
        "|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {m.rows:,} | {m.seconds:.1f} | {m.cpu:.1f} | {m.rows / m.seconds:,.0f} | {m.peak / 1e9:.2f} "
        f"| {m.spilled / 1e9:.2f} | {m.quarantined:,} | {m.status} |"
        for m in (fixed, *found)
    ]
    if len(found) > 1:
        rows = [m.rows for m in found]
        for name in ("seconds", "cpu"):
            whole = [getattr(m, name) for m in found]
            beyond = [time - getattr(fixed, name) for time in whole]
            lines.append(
                f"\nexponent of {name}: {exponent(rows, whole):.2f} as it is, {exponent(rows, beyond):.2f} beyond the "
                f"fixed {getattr(fixed, name):.1f} s"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", nargs="+", type=Path, required=True, help="where data and scratch are kept")
    parser.add_argument("--rows", default="1000000,3000000", help="sizes, in rows")
    parser.add_argument("--bad", type=float, default=0.0, help="share (0-1) of rows that are made to break a rule")
    parser.add_argument("--suite", choices=("own", "fifteen"), default="own", help="shopmon's own rules, or fifteen")
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(given.folder, given.one)
        return
    (folder,) = given.folder
    sizes = [int(size) for size in given.rows.split(",")]
    shop = make_shop(folder, given.suite)
    files = make(folder, max(sizes), given.bad)
    fixed = measure(make(folder, FEW, given.bad), shop, folder)
    found = []
    for size in sizes:
        print(f"{size:,} rows", file=sys.stderr, flush=True)
        found.append(measure(make(folder, size, given.bad), shop, folder))
        print(json.dumps(asdict(found[-1])), file=sys.stderr, flush=True)
    print(f"files of {A_FILE:,} rows, {sum(f.stat().st_size for f in files) / 1e9:.1f} GB at most; "
          f"suite {given.suite}, {given.bad:.0%} made bad; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"Python {platform.python_version()}\n")  # fmt: skip
    print(table(fixed, found))
    if given.out:
        given.out.write_text(json.dumps([asdict(one) for one in (fixed, *found)], indent=2) + "\n")


if __name__ == "__main__":
    main()
