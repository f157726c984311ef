"""What does an edge-case rule ask of each row? A formula such as `mentions_brand & sentiment < -0.3 & ~too_long`.

It is parsed by the few functions below and never evaluated as code. UpTrain's Signals decide it; SQL that says the same
spares them the rows that cannot be chosen.

What is missing is unknown (Kleene's three-valued logic), and a row is chosen only where the formula is surely true: of
a row without stars neither `stars < 3` nor `~(stars < 3)` holds. To that end negation is pushed down to the leaves (De
Morgan), where an unknown leaf may then count as false.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from expectations.errors import ShopmonError
from expectations.kinds import Holds
from expectations.sql import Bound

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[^\W\d]\w*)
    |(?P<column>`[^`]+`)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<sign><=|>=|==|!=|&&|\|\||<>|=>|=<|[<>&|~()!=])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"and": "&", "or": "|", "not": "~"}
_TRUTHS = {"true": True, "false": False}
_MISTAKEN = {"&&": "&", "||": "|", "=": "==", "<>": "!=", "=>": ">=", "=<": "<=", "!": "~"}
_NEGATED = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_IN_SQL = {"==": "=", "!=": "<>"}
_DEEPEST = 50
"""Parentheses and negations within one another; Python's own stack ends at some hundreds."""


class FormulaError(ShopmonError):
    """The formula says something that cannot be understood, and so must not be guessed at."""

    def __init__(self, problem: str, text: str, start: int, end: int, *, advice: str = "") -> None:
        line_start = text.rfind("\n", 0, start) + 1
        line = text[line_start:].split("\n", 1)[0].replace("\t", " ")
        marks = "^" * max(1, min(end, line_start + len(line)) - start)
        pointed = f"    {line}\n    {' ' * (start - line_start)}{marks}"
        self.position = start
        super().__init__(problem, advice=f"{advice}\n{pointed}".lstrip("\n"))


@dataclass(frozen=True)
class Flag:
    """A signal that is true or false by itself."""

    name: str
    start: int = field(default=0, compare=False, repr=False)
    """Where it stands in the formula's text; 0 is its first character."""
    end: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Name:
    """A signal whose value is compared."""

    name: str


@dataclass(frozen=True)
class Comparison:
    """A signal's value against a constant, or against another signal's."""

    left: Name
    operator: str
    """One of < <= > >= == !=."""
    right: Name | float | str
    start: int = field(default=0, compare=False, repr=False)
    end: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Not:
    """True where the inner formula is false; unknown where it is unknown."""

    inner: Tree


@dataclass(frozen=True)
class AllOf:
    """True where every part is."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class AnyOf:
    """True where any part is."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Always:
    """The same for every row."""

    value: bool


Tree = Flag | Comparison | Not | AllOf | AnyOf | Always


@dataclass(frozen=True)
class Formula:
    """A formula as it was written, and its tree."""

    text: str
    tree: Tree

    @property
    def names(self) -> tuple[str, ...]:
        """The signals it speaks of, each once, in the order in which they first appear."""
        return names_of(self.tree)


def parse(text: str) -> Formula:
    """The tree of a formula.

    Known are names, numbers, text in quotes, `true` and `false`, the comparisons < <= > >= == !=, `&` `|` `~` (or `and`
    `or` `not`, but not both in one formula: Python reads such mixtures in an order of its own) and parentheses. A name
    with blanks stands in backquotes. Comparisons bind first, then `~`, `&` and `|`.

    Raises FormulaError that points at what cannot be understood.

    >>> parse("positive & stars <= 2").tree
    AllOf(parts=(Flag(name='positive'), Comparison(left=Name(name='stars'), operator='<=', right=2.0)))
    >>> parse("1 < stars < 4")
    Traceback (most recent call last):
        ...
    monitor.formula.FormulaError: comparisons cannot be chained. Join them: a < b & b < c.
        1 < stars < 4
                  ^
    """
    return Formula(text, _Parser(text).whole())


def names_of(tree: Tree) -> tuple[str, ...]:
    """The signals that a tree speaks of, each once, in the order in which they first appear.

    >>> names_of(parse("price > list_price | ~positive").tree)
    ('price', 'list_price', 'positive')
    """
    found: dict[str, None] = {}
    for leaf in _leaves(tree):
        if isinstance(leaf, Flag):
            found[leaf.name] = None
        else:
            found |= dict.fromkeys(side.name for side in (leaf.left, leaf.right) if isinstance(side, Name))
    return tuple(found)


def check(formula: Formula, holds: Mapping[str, Holds], *, known: Collection[str] = ()) -> None:
    """See whether every name is known and is asked for what it can say.

    `holds` says what the values of each name are; `known` are more names that only a suggestion may use.

    Raises FormulaError for an unknown name, for a number that stands alone, for text compared by size, and the like.

    >>> check(parse("stars"), {"stars": Holds.NUMBER})
    Traceback (most recent call last):
        ...
    monitor.formula.FormulaError: 'stars' is a number, which is neither true nor false. Compare it: stars >= 3.
        stars
        ^^^^^
    """
    for leaf in _leaves(formula.tree):
        for name in names_of(leaf):
            if name not in holds:
                raise _unknown(formula, leaf, name, [*holds, *known])
        wrong = _misused(leaf, holds)
        if wrong:
            raise FormulaError(wrong[0], formula.text, leaf.start, leaf.end, advice=wrong[1])


def settled(tree: Tree, definitions: Mapping[str, Tree] | None = None, *, negated: bool = False) -> Tree:
    """The same formula with negation only before flags, and with defined names replaced by what they stand for.

    Of such a tree every unknown leaf may count as false: what is then true was surely true, and nothing else is.

    >>> settled(parse("~(positive & stars < 3)").tree)
    AnyOf(parts=(Not(inner=Flag(name='positive')), Comparison(left=Name(name='stars'), operator='>=', right=3.0)))
    """
    definitions = definitions or {}
    match tree:
        case Not(inner):
            return settled(inner, definitions, negated=not negated)
        case Flag(name) if name in definitions:
            return settled(definitions[name], definitions, negated=negated)
        case Flag():
            return Not(tree) if negated else tree
        case Comparison(left, operator, right):
            return Comparison(left, _NEGATED[operator], right, tree.start, tree.end) if negated else tree
        case Always(value):
            return Always(value is not negated)
    parts = tuple(settled(part, definitions, negated=negated) for part in tree.parts)
    return AllOf(parts) if isinstance(tree, AllOf) is not negated else AnyOf(parts)


def assume(tree: Tree, names: Collection[str], value: bool) -> Tree:
    """A settled tree in which each leaf that speaks of one of `names` has `value`, and whatever follows from it.

    With True it holds wherever the tree may hold; with False it holds only where the tree surely does.

    >>> assume(parse("stars < 3 & positive").tree, {"positive"}, True)
    Comparison(left=Name(name='stars'), operator='<', right=3.0)
    """
    if isinstance(tree, Always):
        return tree
    if not isinstance(tree, AllOf | AnyOf):
        return Always(value) if any(name in names for name in names_of(tree)) else tree
    ends = isinstance(tree, AnyOf)
    parts = [part for part in (assume(part, names, value) for part in tree.parts) if part != Always(not ends)]
    if Always(ends) in parts or not parts:
        return Always(ends if parts else not ends)
    return parts[0] if len(parts) == 1 else type(tree)(tuple(parts))


def to_sql(tree: Tree, column: Callable[[str], str], bound: Bound) -> str:
    """A settled tree as an SQL condition, true or false and never null; `column` gives the SQL of a signal's value.

    >>> bound = Bound()
    >>> to_sql(parse("stars < 3").tree, str.upper, bound)
    'coalesce((STARS < $b0), false)'
    """
    if isinstance(tree, Always):
        return "true" if tree.value else "false"
    return f"coalesce({_sql(tree, column, bound)}, false)"


def to_signal(tree: Tree) -> Any:
    """A settled tree as an UpTrain `Signal` over the frame that `settled_frame` makes.

    `bool()` of it raises TypeError: `a and b` of two Signals would drop one of them without a word.

    >>> str(to_signal(parse("stars < 3").tree))
    'And(known: stars,Less Than(stars,3.0))'
    """
    return _signal(tree, _guarded_signal())


def settled_frame(values: Mapping[str, Any], holds: Mapping[str, Holds]) -> pl.DataFrame:
    """Signals' values, each an array with one value per row, with nothing missing: beside each whether it was known.

    Null and NaN are missing. `holds` says what the values of each signal are, since a column of nulls does not.
    """
    import polars as pl

    types = {Holds.FLAG: pl.Boolean(), Holds.NUMBER: pl.Float64()}
    filled: dict[Holds, Any] = {Holds.FLAG: False, Holds.NUMBER: 0.0}
    columns: dict[str, pl.Series] = {}
    for name, given in values.items():
        listed = given.tolist() if getattr(given, "dtype", None) == "O" else given
        column = pl.Series(name, listed, dtype=types.get(holds[name], pl.String()))
        column = column.fill_nan(None) if holds[name] is Holds.NUMBER else column
        columns[name] = column.fill_null(filled.get(holds[name], ""))
        columns[_known(name)] = column.is_not_null()
    return pl.DataFrame(columns)


def run(tree: Tree, frame: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where a settled tree holds, by UpTrain: one truth value for each row of a settled frame.

    >>> frame = settled_frame({"stars": [1.0, 5.0, None]}, {"stars": Holds.NUMBER})
    >>> run(settled(parse("~(stars < 3)").tree), frame).tolist()
    [False, True, False]
    """
    import numpy as np

    if isinstance(tree, Always):
        return np.full(frame.height, tree.value)
    return np.asarray(to_signal(tree).run(frame), dtype=bool)


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Token:
    sort: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class _Parser:
    """Recursive descent; each method reads what it is called like."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.next = 0
        self.depth = 0
        self._refuse_mixture()

    def whole(self) -> Tree:
        if len(self.tokens) == 1:
            raise self._error("the formula is empty", self.tokens[0], 'Write one, such as "stars <= 2 & positive".')
        tree = self.disjunction()
        left = self.tokens[self.next]
        if left.sort != "end":
            raise self._left_over(left)
        return tree

    def disjunction(self) -> Tree:
        parts = [self.conjunction()]
        while self._take("|"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def conjunction(self) -> Tree:
        parts = [self.negation()]
        while self._take("&"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def negation(self) -> Tree:
        sign = self._take("~")
        if sign is None:
            return self.parenthesis()
        self._deeper(sign)
        bare = self.tokens[self.next].text not in ("(", "~")
        inner = self.negation()
        self.depth -= 1
        if bare and sign.text == "~" and isinstance(inner, Comparison):
            compared = self.text[inner.start : inner.end]
            raise self._error(
                "~ stands before a comparison, where Python would negate its left side alone",
                sign,
                f"Write ~({compared}).",
            )
        return Not(inner)

    def parenthesis(self) -> Tree:
        opened = self._take("(")
        if opened is None:
            return self.comparison()
        self._deeper(opened)
        inner = self.disjunction()
        self.depth -= 1
        if self._take(")") is None:
            here = self.tokens[self.next]
            if here.sort != "end":
                raise self._left_over(here)
            raise self._error("this parenthesis is never closed", opened, "Close it with ).")
        return inner

    def comparison(self) -> Tree:
        first = self.tokens[self.next]
        left = self._operand()
        sign = self.tokens[self.next]
        if sign.text not in _NEGATED or sign.sort != "sign":
            return self._alone(left, first)
        self.next += 1
        last = self.tokens[self.next]
        right = self._operand()
        chained = self.tokens[self.next]
        if chained.sort == "sign" and chained.text in _NEGATED:
            raise self._error("comparisons cannot be chained", chained, "Join them: a < b & b < c.")
        return self._compared(left, sign, right, first.start, last.end)

    def _compared(self, left: Any, sign: _Token, right: Any, start: int, end: int) -> Tree:
        operator = sign.text
        if not isinstance(left, Name):
            left, right, operator = right, left, _MIRRORED[operator]
        if not isinstance(left, Name):
            raise FormulaError(
                "two constants are compared, which says nothing of a row",
                self.text,
                start,
                end,
                advice="Name a signal on one side.",
            )
        if not isinstance(right, bool):
            return Comparison(left, operator, right, start, end)
        if operator not in ("==", "!="):
            raise self._error("true and false have no order", sign, "Compare with == or !=.")
        flag = Flag(left.name, start, end)
        return flag if right is (operator == "==") else Not(flag)

    def _alone(self, operand: Any, token: _Token) -> Tree:
        if isinstance(operand, Name):
            return Flag(operand.name, token.start, token.end)
        raise self._error(f"the constant {token.text} stands alone", token, "Compare a signal with it.")

    def _operand(self) -> Name | bool | float | str:
        token = self.tokens[self.next]
        self.next += 1
        if token.sort == "number":
            return self._number(token)
        if token.sort == "text":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
        if token.sort == "column":
            return Name(token.text[1:-1])
        if token.sort == "name" and token.text.lower() in _TRUTHS:
            return _TRUTHS[token.text.lower()]
        if token.sort == "name":
            return Name(token.text)
        got = "the formula ends" if token.sort == "end" else f"{token.text!r} stands"
        raise self._error(f"{got} where a name or a value is expected", token, _correction(token))

    def _number(self, token: _Token) -> float:
        number = float(token.text)
        if not math.isfinite(number):
            raise self._error(f"the number {token.text} is too large", token, "Write one below 1e308.")
        return number

    def _tokens(self) -> Iterator[_Token]:
        at = 0
        while at < len(self.text):
            found = _TOKEN.match(self.text, at)
            if found is None:
                raise self._unreadable(_Token("", self.text[at], at))
            at = found.end()
            if found.lastgroup != "space":
                word = found[0] in _WORDS  # the words stand for signs, and their tokens for both
                yield _Token("word" if word else str(found.lastgroup), found[0], found.start())
        yield _Token("end", "", len(self.text))

    def _refuse_mixture(self) -> None:
        words = [token for token in self.tokens if token.sort == "word"]
        signs = [token for token in self.tokens if token.sort == "sign" and token.text in _WORDS.values()]
        if words and signs:
            later = max(words[0], signs[0], key=lambda token: token.start)
            raise self._error(
                f"{words[0].text!r} and {signs[0].text!r} are mixed, which Python would read in another order",
                later,
                "Use either and, or, not, or else &, |, ~.",
            )

    def _take(self, sign: str) -> _Token | None:
        token = self.tokens[self.next]
        meant = _WORDS.get(token.text, "") if token.sort == "word" else token.text if token.sort == "sign" else ""
        if meant != sign:
            return None
        self.next += 1
        return token

    def _deeper(self, token: _Token) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} parentheses or negations within one another", token, "Simplify.")

    def _left_over(self, token: _Token) -> FormulaError:
        if token.text == ")":
            return self._error("this parenthesis was never opened", token, "Leave it out, or open it with (.")
        if token.text in _NEGATED and token.sort == "sign":
            return self._error("a formula in parentheses is compared", token, "Compare a name: (a < 3) & b.")
        return self._error(
            f"{token.text!r} stands where & or | is expected",
            token,
            _correction(token) or "Join the parts with & or |.",
        )

    def _unreadable(self, token: _Token) -> FormulaError:
        if token.text in "\"'`":
            return self._error("this quotation is never closed", token, f"Close it with {token.text}.")
        if token.text in "+-*/%^":
            return self._error("formulas do no arithmetic", token, "Compare signals with constants.")
        return self._error(f"the character {token.text!r} means nothing in a formula", token, "Leave it out.")

    def _error(self, problem: str, token: _Token, advice: str) -> FormulaError:
        return FormulaError(problem, self.text, token.start, token.end, advice=advice)


def _correction(token: _Token) -> str:
    meant = _MISTAKEN.get(token.text) if token.sort == "sign" else None
    return f"Write {meant} instead of {token.text}." if meant else ""


# --- checking -------------------------------------------------------------------------------------------------------


def _leaves(tree: Tree) -> Iterator[Flag | Comparison]:
    if isinstance(tree, Flag | Comparison):
        yield tree
    elif isinstance(tree, Not):
        yield from _leaves(tree.inner)
    elif not isinstance(tree, Always):
        for part in tree.parts:
            yield from _leaves(part)


def _unknown(formula: Formula, leaf: Flag | Comparison, name: str, known: Collection[str]) -> FormulaError:
    near = difflib.get_close_matches(name, list(known), n=1)
    advice = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(sorted(set(known)))}."
    start = formula.text.find(name, leaf.start, leaf.end)
    return FormulaError(f"there is no signal {name!r}", formula.text, start, start + len(name), advice=advice)


_SAID = {Holds.NUMBER: "a number", Holds.TEXT: "text", Holds.FLAG: "true or false", Holds.DATE: "a date"}


def _misused(leaf: Flag | Comparison, holds: Mapping[str, Holds]) -> tuple[str, str] | None:
    """What a leaf asks of a signal that cannot say it, and what to write instead."""
    if isinstance(leaf, Flag):
        held, name = holds[leaf.name], leaf.name
        instead = {Holds.NUMBER: f"{name} >= 3", Holds.TEXT: f'{name} == "…"', Holds.DATE: f'{name} >= "2026-01-31"'}
        wrong = f"{name!r} is {_SAID[held]}, which is neither true nor false"
        return None if held is Holds.FLAG else (wrong, f"Compare it: {instead[held]}.")
    left, right = holds[leaf.left.name], _held(leaf.right, holds)
    name = leaf.left.name
    if left is Holds.FLAG:
        return f"{name!r} is true or false and is compared with a value", f"Write {name} or ~{name} alone."
    if left is Holds.DATE and isinstance(leaf.right, str):
        return None if _is_day(leaf.right) else (f"{leaf.right!r} is no day", 'Write it as "2026-01-31".')
    if left is not right:
        said = repr(leaf.right.name) if isinstance(leaf.right, Name) else repr(leaf.right)
        return f"{name!r} is {_SAID[left]}, and {said} is {_SAID[right]}", f"Compare {name} with {_SAID[left]}."
    if left is Holds.TEXT and leaf.operator not in ("==", "!="):
        return f"{name!r} is text, which has no size", "Compare it with == or !=."
    return None


def _held(side: Name | float | str, holds: Mapping[str, Holds]) -> Holds:
    if isinstance(side, Name):
        return holds[side.name]
    return Holds.TEXT if isinstance(side, str) else Holds.NUMBER


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


# --- deciding -------------------------------------------------------------------------------------------------------


def _sql(tree: Tree, column: Callable[[str], str], bound: Bound) -> str:
    match tree:
        case Flag(name):
            return column(name)
        case Not(inner):
            return f"(not {_sql(inner, column, bound)})"
        case Comparison(left, operator, right):
            other = column(right.name) if isinstance(right, Name) else bound.to(right)
            return f"({column(left.name)} {_IN_SQL.get(operator, operator)} {other})"
        case AllOf(parts) | AnyOf(parts):
            joined = " and " if isinstance(tree, AllOf) else " or "
            return f"({joined.join(_sql(part, column, bound) for part in parts)})"
    return str(tree.value).lower()


def _known(name: str) -> str:
    return f"known: {name}"


def _signal(tree: Tree, signal: Callable[[str], Any]) -> Any:
    match tree:
        case Flag(name):
            return signal(_known(name)) & signal(name)
        case Not(Flag(name)):
            return signal(_known(name)) & ~signal(name)
        case Comparison(left, operator, right):
            other = signal(right.name) if isinstance(right, Name) else right
            known = signal(_known(left.name))
            known = known & signal(_known(right.name)) if isinstance(right, Name) else known
            return known & _compare(signal(left.name), operator, other)
        case AllOf(parts) | AnyOf(parts):
            joined = _signal(parts[0], signal)
            for part in parts[1:]:
                one = _signal(part, signal)
                joined = joined & one if isinstance(tree, AllOf) else joined | one
            return joined
    raise ValueError(f"only a settled tree becomes a Signal, got {tree!r}")


def _compare(signal: Any, operator: str, other: Any) -> Any:
    match operator:
        case "<":
            return signal < other
        case "<=":
            return signal <= other
        case ">":
            return signal > other
        case ">=":
            return signal >= other
        case "==":
            return signal == other
    return signal != other


def _guarded_signal() -> Callable[[str], Any]:
    """UpTrain's Signal, of which neither it nor anything made of it has a truth value."""
    from uptrain.framework import signal as uptrain

    class Guarded:
        def __bool__(self) -> bool:
            raise TypeError("a Signal has no truth value: join Signals with &, | and ~, never with and, or, not")

        __hash__ = object.__hash__

    def guarded(made: Any) -> Any:
        made.__class__ = of(type(made))
        return made

    classes: dict[type, type] = {}

    def of(kind: type) -> type:
        if issubclass(kind, Guarded):
            return kind
        if kind not in classes:
            joins = {name: joining(getattr(kind, name)) for name in _JOINS}
            classes[kind] = type(kind.__name__, (Guarded, kind), joins)
        return classes[kind]

    def joining(method: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *sides: guarded(method(*sides))

    return lambda name: guarded(uptrain.Signal(name))


_JOINS = ("__invert__", "__and__", "__or__", "__xor__", "__add__", "__mul__",
          "__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")  # fmt: skip
