"""How do millions of different sentences come out of a few rules, quickly and always the same?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Keys = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

MERGED_AT_MOST = 250
"""Neighbouring parts with no more combinations than this become ready-made pieces (strings): speed against memory."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def mixed(values: Keys) -> Keys:
    """Scramble 64-bit numbers so that neighbours share nothing: one number in, one out, no state.

    Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
    """
    with np.errstate(over="ignore"):
        z = values + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
    scrambled: Keys = z ^ (z >> np.uint64(31))
    return scrambled


def row_keys(seed: int, start: int, rows: int) -> Keys:
    """One random key for each of the rows start … start + rows - 1; row i has the same key however it is asked for.

    >>> bool((row_keys(7, 0, 10)[4:] == row_keys(7, 4, 6)).all())
    True
    """
    of_seed = mixed(np.array([seed % 2**64], dtype=np.uint64))
    with np.errstate(over="ignore"):
        return mixed(of_seed + mixed(np.arange(start, start + rows, dtype=np.uint64)))


def fractions(keys: Keys, stream: int) -> npt.NDArray[np.float64]:
    """One number in [0, 1) per key, independent from stream to stream."""
    with np.errstate(over="ignore"):
        bits = mixed(keys + np.uint64(stream) * _MIX_2)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Slot:
    """A place in a sentence that depends on the row: one rule per value of an axis (brand, category, number …)."""

    axis: str
    rules: tuple[str, ...]
    """Rule text for value 0, 1, 2 … of the axis."""


@dataclass
class Grammar:
    """Rules compiled once, expanded for whole columns.

    A rule is text: its alternatives stand on lines of their own or between bars, all equally likely;
    `[a|b|]` is a choice inside an alternative; `{name}` is another rule, or a slot that depends on the row.
    A sentence asked for with `capital` starts with a capital letter wherever its first word comes from.

    >>> number = {"it": Slot("n", ("it", "they")), "is": Slot("n", ("is", "are"))}
    >>> shop = Grammar({"praise": "{it} {is} [great|lovely]."}, number)
    >>> praise = shop.symbol("praise", capital=True)
    >>> shop.expand(np.full((2, 1), praise), row_keys(3, 0, 2), {"n": np.array([0, 1])}).to_pylist()
    ['It is lovely.', 'They are great.']
    """

    rules: Mapping[str, str]
    slots: Mapping[str, Slot] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._compiler = _Compiler(self.rules, self.slots)
        self._tables: _Tables | None = None

    def symbol(self, name: str, *, capital: bool = False) -> int:
        """The number that stands for a rule or slot in `expand`. Raises KeyError if there is none of that name."""
        if not self._compiler.knows(name, capital):
            self._tables = None
        return self._compiler.ask(name, capital)

    def text(self, text: str, *, capital: bool = False) -> int:
        """The number that stands for a rule given as text."""
        self._tables = None
        return self._compiler.ask_text(text, capital)

    def expand(self, starts: npt.NDArray[Any], keys: Keys, axes: Mapping[str, npt.NDArray[Any]]) -> pa.Array:
        """One string per row: its start symbols (shape rows × places; -1 is an empty place) expanded and joined.

        `keys` has one random key per row, `axes` one index per row for every axis that a slot names.
        """
        if self._tables is None:
            self._tables = self._compiler.tables()
        return self._tables.expand(starts, keys, axes)


@dataclass(frozen=True)
class _Name:
    """`{name}` in a rule: another rule, or a slot."""

    name: str


Alternative: TypeAlias = "list[Part]"
Part: TypeAlias = "str | _Name | list[Alternative]"
"""Fixed text, a name, or a choice inside an alternative."""


def _parsed(text: str) -> list[Alternative]:
    """The alternatives of a rule, choices inside them as nested lists."""
    stack: list[list[Alternative]] = [[[]]]
    fixed = ""

    def flush() -> None:
        nonlocal fixed
        if fixed:
            stack[-1][-1].append(fixed)
        fixed = ""

    position, text = 0, text.strip("\n")
    while position < len(text):
        letter = text[position]
        if letter == "{":
            flush()
            end = text.find("}", position)
            if end < 0:
                raise ValueError(f"a name is not closed in the rule {text!r}: every {{ needs its }}")
            stack[-1][-1].append(_Name(text[position + 1 : end]))
            position = end
        elif letter == "[":
            flush()
            stack.append([[]])
        elif letter == "]":
            if len(stack) == 1:
                raise ValueError(f"a ] closes nothing in the rule {text!r}")
            flush()
            choice = stack.pop()
            stack[-1][-1].append(choice)
        elif letter in "|\n":
            flush()
            stack[-1].append([])
            while letter == "\n" and text[position + 1 : position + 2] == " ":  # the indentation of the next line
                position += 1
        else:
            fixed += letter
        position += 1
    flush()
    if len(stack) != 1:
        raise ValueError(f"a choice is not closed in the rule {text!r}: every [ needs its ]")
    return stack[0]


@dataclass(frozen=True)
class _Symbol:
    """A choice or a slot, by its number among its kind; pieces are numbered when their text is first used."""

    kind: str
    number: int


Outcomes = list[str]
"""Everything a part can become, as ready-made text; an outcome that is likelier stands there more often."""


class _Compiler:
    """Rules to numbers: pieces (ready-made text) from 0 up, choices and slots numbered apart until `tables`."""

    def __init__(self, rules: Mapping[str, str], slots: Mapping[str, Slot]) -> None:
        self.rules, self.slot_rules = rules, slots
        self.pieces: dict[str, int] = {}
        self.choices: list[list[list[_Symbol]]] = []
        self.slots: list[tuple[str, list[_Symbol]]] = []
        self.known: dict[tuple[str, bool], Outcomes | _Symbol] = {}
        self.registered: dict[tuple[str, bool], _Symbol] = {}
        self.asked: dict[_Symbol, int] = {}

    def knows(self, name: str, capital: bool) -> bool:
        return (name, capital) in self.registered

    def ask(self, name: str, capital: bool) -> int:
        if (name, capital) not in self.registered:
            self.registered[name, capital] = self._symbol(self._named(name, capital))
        return self._numbered(self.registered[name, capital])

    def ask_text(self, text: str, capital: bool) -> int:
        return self._numbered(self._symbol(self._choice(_parsed(text), capital)))

    def _numbered(self, symbol: _Symbol) -> int:
        return self.asked.setdefault(symbol, len(self.asked))

    def _named(self, name: str, capital: bool) -> Outcomes | _Symbol:
        if (name, capital) not in self.known:
            if name in self.slot_rules:
                slot = self.slot_rules[name]
                values = [self._symbol(self._choice(_parsed(rule), capital)) for rule in slot.rules]
                self.slots.append((slot.axis, values))
                self.known[name, capital] = _Symbol("slot", len(self.slots) - 1)
            elif name in self.rules:
                self.known[name, capital] = self._choice(_parsed(self.rules[name]), capital)
            else:
                raise KeyError(f"no rule and no slot is called {name!r}")
        return self.known[name, capital]

    def _choice(self, alternatives: list[Alternative], capital: bool) -> Outcomes | _Symbol:
        compiled = [self._sequence(alternative, capital) for alternative in alternatives]
        if all(len(parts) == 1 and isinstance(parts[0], list) for parts in compiled):
            outcomes = [part for parts in compiled for part in parts if isinstance(part, list)]
            longest = max(map(len, outcomes))
            # every alternative gets equally many places, however many outcomes it has
            places = [o[i % len(o)] for o in outcomes for i in range(longest)] if len(outcomes) > 1 else outcomes[0]
            if len(places) <= 4 * MERGED_AT_MOST:
                return places
        self.choices.append([[self._symbol(part) for part in parts] for parts in compiled])
        return _Symbol("choice", len(self.choices) - 1)

    def _sequence(self, sequence: Alternative, capital: bool) -> list[Outcomes | _Symbol]:
        """The parts of one alternative, neighbours that have few outcomes merged into one."""
        merged: list[Outcomes | _Symbol] = []
        for place, part in enumerate(sequence):
            now = self._part(part, capital and place == 0)
            before = merged[-1] if merged else None
            if isinstance(now, list) and isinstance(before, list) and len(now) * len(before) <= MERGED_AT_MOST:
                merged[-1] = [a + b for a, b in product(before, now)]
            else:
                merged.append(now)
        return merged or [[""]]

    def _part(self, part: Part, capital: bool) -> Outcomes | _Symbol:
        if isinstance(part, str):
            return [part[:1].upper() + part[1:] if capital else part]
        return self._named(part.name, capital) if isinstance(part, _Name) else self._choice(part, capital)

    def _symbol(self, compiled: Outcomes | _Symbol) -> _Symbol:
        if isinstance(compiled, _Symbol):
            return compiled
        pieces = [_Symbol("piece", self.pieces.setdefault(text, len(self.pieces))) for text in compiled]
        if len(pieces) == 1:
            return pieces[0]
        self.choices.append([[piece] for piece in pieces])
        return _Symbol("choice", len(self.choices) - 1)

    def tables(self) -> _Tables:
        """All numbers in one line: pieces, then choices, then slots."""
        shift = {"piece": 0, "choice": len(self.pieces), "slot": len(self.pieces) + len(self.choices)}

        def flat(symbol: _Symbol) -> int:
            return shift[symbol.kind] + symbol.number

        bodies: list[Sequence[int]] = [[flat(s) for s in production] for c in self.choices for production in c]
        lengths = np.array([1] * len(self.pieces) + [len(b) for b in bodies], dtype=np.int32)
        symbols = np.array([*range(len(self.pieces)), *(s for b in bodies for s in b)], dtype=np.int32)
        alternatives = np.array([len(c) for c in self.choices], dtype=np.int64)
        axes = sorted({axis for axis, _ in self.slots})
        return _Tables(
            pieces=pa.array(list(self.pieces), pa.string()),
            first_choice=shift["choice"],
            first_slot=shift["slot"],
            alternatives=alternatives,
            first_production=len(self.pieces) + np.concatenate([[0], np.cumsum(alternatives)[:-1]]).astype(np.int64)
            if len(alternatives)
            else alternatives,
            production_start=np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32),
            production_length=lengths,
            symbols=symbols,
            axes=tuple(axes),
            slot_axis=np.array([axes.index(axis) for axis, _ in self.slots], dtype=np.int64),
            slot_start=np.concatenate([[0], np.cumsum([len(v) for _, v in self.slots])])[: len(self.slots)].astype(int),
            slot_symbols=np.array([flat(s) for _, values in self.slots for s in values], dtype=np.int32),
            asked=np.array([flat(s) for s in self.asked], dtype=np.int32),
        )


@dataclass(frozen=True)
class _Tables:
    """The compiled rules as arrays: one number per symbol, ranges per production."""

    pieces: pa.Array
    first_choice: int
    first_slot: int
    alternatives: Indices
    first_production: Indices
    production_start: npt.NDArray[np.int32]
    production_length: npt.NDArray[np.int32]
    symbols: npt.NDArray[np.int32]
    axes: tuple[str, ...]
    slot_axis: Indices
    slot_start: Indices
    slot_symbols: npt.NDArray[np.int32]
    asked: npt.NDArray[np.int32]

    def expand(self, starts: npt.NDArray[Any], keys: Keys, axes: Mapping[str, npt.NDArray[Any]]) -> pa.Array:
        used = starts >= 0
        row = np.repeat(np.arange(len(starts), dtype=np.int32), used.sum(axis=1))
        symbol = self.asked[starts[used]]
        values = np.stack([axes[a] for a in self.axes]) if self.axes else np.zeros((0, len(starts)), dtype=np.int64)
        stream = np.uint64(0)
        while True:
            self._fill_slots(symbol, row, values)
            open_ = np.flatnonzero(symbol >= self.first_choice)
            if not len(open_):
                break
            stream += np.uint64(1)
            symbol, row = self._round(symbol, row, open_, keys, stream)
        ends = np.searchsorted(row, np.arange(len(starts) + 1)).astype(np.int32)
        return pc.binary_join(pa.ListArray.from_arrays(ends, self.pieces.take(pa.array(symbol))), "")

    def _fill_slots(self, symbol: npt.NDArray[np.int32], row: npt.NDArray[np.int32], values: npt.NDArray[Any]) -> None:
        while len(at := np.flatnonzero(symbol >= self.first_slot)):
            slot = symbol[at] - self.first_slot
            symbol[at] = self.slot_symbols[self.slot_start[slot] + values[self.slot_axis[slot], row[at]]]

    def _round(
        self, symbol: npt.NDArray[np.int32], row: npt.NDArray[np.int32], open_: Indices, keys: Keys, stream: np.uint64
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Replace every choice by one of its productions, drawn from the row's key and the place in the row."""
        in_row = row[open_]
        place = open_ - np.searchsorted(row, np.arange(len(keys)))[in_row]
        with np.errstate(over="ignore"):
            drawn = mixed(keys[in_row] + (stream << np.uint64(32)) + place.astype(np.uint64))
        choice = symbol[open_] - self.first_choice
        picked = (drawn >> np.uint64(40)) * self.alternatives[choice].astype(np.uint64) >> np.uint64(24)
        production = symbol.astype(np.int64)  # a piece is its own production
        production[open_] = self.first_production[choice] + picked.astype(np.int64)
        length = self.production_length[production]
        ends = np.cumsum(length)
        source = np.repeat(self.production_start[production] - (ends - length), length) + np.arange(ends[-1])
        return self.symbols[source], np.repeat(row, length)
