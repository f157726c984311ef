"""Which text stands for the language in general, that a model must not forget while it learns?"""

from __future__ import annotations

import ast
import hashlib
import inspect
import platform
import re
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from expectations.errors import ShopmonError

FEWEST_WORDS = 8
"""Of a passage: shorter ones are headings and signatures."""
FEWEST_PASSAGES = 100
"""Without so many, nobody can tell what was forgotten."""
_PROSE = 0.85
"""Share of a passage's characters that are letters and blanks, at least: below it stand tables and code."""
_LONGEST = 4_000
"""Characters of a passage; what is longer is no passage."""
_NO_PROSE = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__", "ensurepip"}
_BREAK = re.compile(r"\n\s*\n")
_TEXT_FILES = (".txt", ".md", ".rst", ".text")


@dataclass(frozen=True)
class GeneralText:
    """Passages of general text."""

    passages: tuple[str, ...]
    """In an order that depends on nothing but the passages: the first n are an even sample."""
    source: str
    """What people may be told: "documentation of Python 3.11.7's standard library"."""
    sha256: str
    """Of all passages in their order."""


def general_text(file: Path | None = None, *, most: int = 20_000) -> GeneralText:
    """`most` passages of a file, or, without one, of the documentation strings of Python's standard library.

    A text file (.txt, .md) is cut at empty lines; of any other (parquet, CSV, JSON lines …), each row's text is a
    passage. Python's are English prose that is on every machine; they are read from its source files, and nothing is
    imported. Raises ShopmonError if there are fewer than 100 passages.

    >>> found = general_text(most=1_000)
    >>> len(found.passages)
    1000
    """
    if file is None:
        source = f"documentation of Python {platform.python_version()}'s standard library"
        found = _standard_library()
    else:
        source, found = file.name, _of_file(file)
    passages = sorted(set(found), key=lambda passage: hashlib.sha256(passage.encode()).digest())
    if len(passages) < FEWEST_PASSAGES:
        raise ShopmonError(
            f"{file or source} holds {len(passages)} passages of general text; at least {FEWEST_PASSAGES} are needed",
            advice="Name a file with more: [retrain] general_text, or --general-text FILE.",
        )
    chosen = tuple(passages[:most])
    return GeneralText(chosen, source, hashlib.sha256("\0".join(chosen).encode()).hexdigest())


def _standard_library() -> Iterator[str]:
    root = Path(sysconfig.get_path("stdlib"))
    for file in sorted(root.rglob("*.py")):
        if not _NO_PROSE.intersection(file.relative_to(root).parts):
            for text in _documentation(file):
                yield from _prose(_BREAK.split(text))


def _documentation(file: Path) -> Iterator[str]:
    """The documentation strings of a source file, which is parsed and never run."""
    try:
        source = file.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in strings: not ours to mend
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return  # a file for another version, or in another encoding: there are a thousand more
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            said = ast.get_docstring(node, clean=False)
            if said:
                yield inspect.cleandoc(said)


def _prose(parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        text = " ".join(part.split())
        if ">>>" in text or len(text) > _LONGEST or len(text.split()) < FEWEST_WORDS:
            continue
        if sum(c.isalpha() or c == " " for c in text) >= _PROSE * len(text):
            yield text


def _of_file(file: Path) -> Iterator[str]:
    if not file.exists():
        raise ShopmonError(f"{file} does not exist", advice="Correct [retrain] general_text, or leave it out.")
    if file.suffix.lower() not in _TEXT_FILES:
        return _of_rows(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ShopmonError(f"{file} cannot be read as text: {error}", advice="Save it as UTF-8.") from error
    passages = (" ".join(part.split())[:_LONGEST] for part in _BREAK.split(text))
    return (passage for passage in passages if len(passage.split()) >= FEWEST_WORDS)


def _of_rows(file: Path, progress: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    from expectations.batch import open_batch
    from monitor.signals import text_of

    with TemporaryDirectory(prefix="shopmon-") as scratch, open_batch(file, scratch=Path(scratch)) as batch:
        batch.connection.execute(f"select {text_of(batch)} from batch")
        while rows := batch.connection.fetchmany(10_000):
            for (text,) in rows:
                if text is not None and len(text.split()) >= FEWEST_WORDS:
                    yield " ".join(text.split())[:_LONGEST]
