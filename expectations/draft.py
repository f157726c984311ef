"""Which rules does a reference suggest? A suite for a person to edit: the built-in rules, and what was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from expectations.batch import Batch
from expectations.binding import MOST_COLUMNS, Question, bind
from expectations.kinds import Holds, kind_named
from expectations.planning import plan
from expectations.plans import CrossRowPlan, RowPlan, Unexaminable
from expectations.reference_figures import Figures, Spread, languages_of, measure, nameable_columns
from expectations.results import Severity
from expectations.sql import Bound, all_of
from expectations.suite import Rule, Suite, built_in, load_suite

_NOT_NULL, _UNIQUE = "expect_column_values_to_not_be_null", "expect_column_values_to_be_unique"
_BETWEEN, _LENGTHS = "expect_column_values_to_be_between", "expect_column_value_lengths_to_be_between"
_IN_SET, _LANGUAGE = "expect_column_values_to_be_in_set", "expect_column_values_to_be_in_language"
_OUTLIERS = 0.001
"""Share of honest values that lie outside usual limits (0–1): the tail beyond which nothing is measured."""
_CRITICAL_AT_MOST = 0.999
"""What fails a check must not turn on one row in a million."""
_LEAST = {_NOT_NULL: 0.5, _UNIQUE: 0.98}
_LEAST_OTHERWISE = 0.9
"""Share of the reference that must keep a rule, or it says nothing about good data and is not drafted."""
_ALLOWED = (0.0, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, *(n / 100 for n in range(10, 55, 5)))
_ROWS_TO_TRUST = 1_000
_FENCE = 1.5
_WIDER = 0.1
_LONG_SPAN = 2 * 365 * 86_400
"""Seconds; a longer history is bounded by the start of a year, a shorter one by that of a month."""
_ONE_LINE = 100
_NOT_BARE = ("yes", "no", "on", "off", "y", "n")
_LONGEST_KEY = 64
"""Characters: a hash or a UUID with its prefix."""


@dataclass(frozen=True)
class _Drafted:
    """A rule the reference suggests, and the figure it comes from."""

    rule: Rule
    measured: str
    """For the comment; holds figures only, never a value from the data."""
    outliers: float = 0.0
    """Share of rows that may break it whatever the reference shows (0–1)."""


@dataclass(frozen=True)
class _Counted:
    examined: int
    broken: int


def draft_suite(batch: Batch) -> str:
    """Draft a suite from a batch known to be good: YAML with comments, for a person to read and correct.

    It holds the built-in rules of the batch's kind that this batch can be asked, with the languages found in it, and
    rules measured on it (ids `draft-…`, `meta.draft`): columns that are there, values that are missing, sets of values,
    usual ranges, lengths, first dates, uniqueness. What stands in less than 1 % of the rows becomes no rule; each
    drafted rule holds for the reference itself. Values and names from data are written by the YAML emitter alone.

    Two scans, and a narrow one for each column of ids; what is measured in memory is at most 200,000 rows. The same
    batch gives the same text.
    """
    nameable, hidden = nameable_columns(batch)
    # A wide table is measured where rules will be asked: validation asks a rule of each of at most as many columns.
    columns = nameable if len(nameable) <= MOST_COLUMNS else tuple(c for c in nameable if c[0].name in batch.mapping)
    figures = measure(batch, columns)
    suite = load_suite(built_in(batch.kind))
    kept = _askable(suite, batch)
    drafted, unmet = _settled(batch, list(_suggested(batch, figures)), kept)
    lines = [*_head(batch), *_built_in_part(suite, kept, batch), *_columns_part(figures, drafted, unmet)]
    return "\n".join([*lines, *_table_part(batch, len(nameable) - len(columns), hidden)]) + "\n"


# --- which rules ------------------------------------------------------------------------------------------------


def _askable(suite: Suite, batch: Batch) -> tuple[Rule, ...]:
    """The suite's rules that find in this batch what they ask about."""
    ids = {question.rule.id.split(":")[0] for question in bind(suite, batch) if isinstance(question, Question)}
    return tuple(rule for rule in suite.rules if rule.id in ids)


def _suggested(batch: Batch, figures: Sequence[Figures]) -> Iterator[_Drafted]:
    taken: set[str] = set()
    needed = {role for group in kind_named(batch.kind).needs for role in group}
    for number, one in enumerate(figures, start=1):
        slug = _slug(one.column.name, number)
        for ending, drafted in _about(one, one.is_role and one.column.name in needed):
            yield replace(drafted, rule=replace(drafted.rule, id=_free(f"draft-{slug}-{ending}", taken)))


def _about(one: Figures, needed: bool) -> Iterator[tuple[str, _Drafted]]:
    if one.held == 0:
        return
    name = _in_words(one.column.name)
    severity = Severity.CRITICAL if needed else Severity.WARNING
    yield "missing", _Drafted(_rule(_NOT_NULL, one, {}, f"no value in {name}", severity), "")
    if one.common:
        spaced = " (some with space around them)" if any(value != value.strip() for value in one.common) else ""
        measured = f"{_several(len(one.common), 'value')}{spaced} in 1 % of the rows or more"
        says = f"an unusual value in {name}"
        yield "values", _Drafted(_rule(_IN_SET, one, {"value_set": list(one.common)}, says), measured)
    elif one.spread is not None and not (_is_key(one) and one.column.holds is Holds.NUMBER):  # ids go on counting
        yield from _about_spread(one, one.spread, name)
    if _is_key(one):
        yield "repeated", _Drafted(_rule(_UNIQUE, one, {}, f"a value in {name} that stands in several rows"), "")


def _about_spread(one: Figures, spread: Spread, name: str) -> Iterator[tuple[str, _Drafted]]:
    if one.column.holds is Holds.NUMBER:
        low, high = _limits(spread)
        measured = f"99.8 % of the values are {_from_to(spread)}"
        rule = _rule(_BETWEEN, one, {"min_value": low, "max_value": high}, f"a value in {name} outside the usual range")
        yield "range", _Drafted(rule, measured, _OUTLIERS)
    if one.is_text:
        low, high = _limits(spread)
        bounds = {"min_value": low, "max_value": high} if low > 1 else {"max_value": high}
        measured = f"99.8 % have {_from_to(spread)} characters"
        says = f"{name} shorter or longer than usual" if low > 1 else f"{name} longer than usual"
        yield "length", _Drafted(_rule(_LENGTHS, one, bounds, says), measured, _OUTLIERS)
    if one.column.holds is Holds.DATE and (start := _first_day(spread)) is not None:
        rule = _rule(_BETWEEN, one, {"min_value": start}, f"a value in {name} earlier than usual")
        yield "start", _Drafted(rule, f"99.9 % are from {_day(spread.low_tail)} or later", _OUTLIERS)


def _rule(kind: str, one: Figures, kwargs: Mapping[str, Any], says: str, severity: Severity = Severity.WARNING) -> Rule:
    return Rule("", kind, {"column": one.column.name, **kwargs}, severity, 0, says)


def _is_key(one: Figures) -> bool:
    """Whether it looks like the name of a row: an id, or a column without a role in which no value comes twice."""
    if not one.all_different or one.column.holds not in (Holds.TEXT, Holds.NUMBER):
        return False
    if one.column.holds is Holds.NUMBER and not (one.spread and one.spread.whole):
        return False
    if one.is_role:
        return one.column.name == "id"
    short = one.column.holds is Holds.NUMBER or (one.spread is not None and one.spread.most <= _LONGEST_KEY)
    return one.distinct == one.held >= _ROWS_TO_TRUST and short


def _limits(spread: Spread) -> tuple[float, float]:
    """Limits a little beyond the tails, and no further out than fences around the middle 98 %.

    A value at which rows pile up at the end is a limit already: nobody gives six of five stars.
    """
    wide = spread.high - spread.low
    low = max(spread.low_tail, spread.low - _FENCE * wide)
    high = min(spread.high_tail, spread.high + _FENCE * wide)
    if spread.low > 0:  # prices and lengths: as far below the middle in ratio as the other end is above it
        low = max(low, spread.low * spread.low / spread.high)
    low, high = min(low, spread.low), max(high, spread.high)
    margin = _WIDER * (high - low) or _WIDER * abs(high) or 1.0
    below = max(low - margin, low / 2) if low > 0 else 0.0 if spread.least >= 0 else low - margin
    least = spread.least if spread.least == spread.low else _rounded(below, margin, math.floor, spread.whole)
    most = spread.most if spread.most == spread.high else _rounded(high + margin, margin, math.ceil, spread.whole)
    return _plain(least), _plain(most)


def _rounded(value: float, margin: float, outward: Any, whole: bool) -> float:
    """The value with as many digits as matter beside the margin, rounded away from the middle."""
    digits = math.floor(math.log10(margin))
    if value != 0:
        digits = min(digits, math.floor(math.log10(abs(value))))
    digits = max(digits, 0) if whole else digits
    return float(round(outward(round(value / 10.0**digits, 9)) * 10.0**digits, max(0, -digits)))


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else value


def _first_day(spread: Spread) -> str | None:
    """The start of the year or month in which dates begin, in ISO form; None where no calendar reaches."""
    wide = spread.high - spread.low
    try:
        first = datetime.fromtimestamp(max(spread.low_tail, spread.low - _FENCE * wide), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    month = 1 if wide > _LONG_SPAN else first.month
    return first.replace(month=month, day=1).date().isoformat()


# --- how strict -------------------------------------------------------------------------------------------------


def _settled(
    batch: Batch, suggested: Sequence[_Drafted], kept: Sequence[Rule]
) -> tuple[list[_Drafted], dict[str, list[str]]]:
    """The suggestions with the `mostly` that the whole reference keeps, without those that built-in rules ask already.

    Beside them, for each column, what built-in rules ask and the reference does not keep.
    """
    settled: list[_Drafted] = []
    unmet: dict[str, list[str]] = {}
    for drafted, counted in zip(suggested, _count(batch, [one.rule for one in suggested]), strict=True):
        if counted is None or counted.examined == 0:
            continue
        ceiling = _CRITICAL_AT_MOST if drafted.rule.severity is Severity.CRITICAL else 1.0
        mostly = min(ceiling, _mostly(counted, drafted.outliers))
        rule = replace(drafted.rule, kwargs={**drafted.rule.kwargs, **({"mostly": mostly} if mostly < 1 else {})})
        share = 1 - counted.broken / counted.examined
        asked = [built for built in kept if _asks_already(built, rule)]
        for built in asked:
            if share < built.mostly and rule.type in (_NOT_NULL, _UNIQUE):
                said = f"{_figures(drafted, counted)} Too few for {built.id} above, which asks for {built.mostly:.4g}."
                unmet.setdefault(rule.columns[0], []).append(said)
        if not asked and mostly >= _LEAST.get(rule.type, _LEAST_OTHERWISE):
            settled.append(replace(drafted, rule=rule, measured=_figures(drafted, counted)))
    return settled, unmet


def _count(batch: Batch, rules: Sequence[Rule]) -> list[_Counted | None]:
    """Of each rule, how many rows it looks at and how many break it; None where it cannot be asked."""
    bound = Bound()
    asked: dict[int, tuple[str, str]] = {}
    for number, question in enumerate(bind(Suite("draft", batch.kind, tuple(rules), Path("draft")), batch)):
        try:
            how = plan(question, batch, bound) if isinstance(question, Question) else None
        except Unexaminable:
            continue
        if isinstance(how, RowPlan | CrossRowPlan):
            examined = all_of([how.considered, f"not ({how.skipped})"])
            broken = all_of([examined, how.broken]) if isinstance(how, RowPlan) else ""
            rows = f"(select count(*) from ({how.failing_rows}))" if isinstance(how, CrossRowPlan) else ""
            asked[number] = f"count(*) filter ({examined})", rows or f"count(*) filter ({broken})"
    found: dict[int, _Counted] = {}
    numbers = list(asked)
    for start in range(0, len(numbers), MOST_COLUMNS // 5):
        some = numbers[start : start + MOST_COLUMNS // 5]
        row = batch.row_of(
            "select " + ", ".join(f"{a}, {b}" for a, b in map(asked.__getitem__, some)) + " from batch", bound
        )
        found |= {number: _Counted(*row[2 * i : 2 * i + 2]) for i, number in enumerate(some)}
    return [found.get(number) for number in range(len(rules))]


def _mostly(counted: _Counted, outliers: float = 0.0) -> float:
    """The share that a new batch should keep, rounded down to a readable one.

    To the share that broke, and at least `outliers` (0–1), two standard errors are added. Where nothing broke in few
    rows, 3/n may: the 95 % limit of a share of which n rows showed none.
    Source: J. Hanley, A. Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249 (1983).
    """
    rows = counted.examined
    share = max(outliers, counted.broken / rows)
    if share == 0:
        expected = 0.0 if rows >= _ROWS_TO_TRUST else 3 / rows
    else:
        expected = share + 2 * math.sqrt(share * (1 - share) / rows)
    return round(1 - next((step for step in _ALLOWED if step >= expected), 1.0), 3)


def _asks_already(built: Rule, drafted: Rule) -> bool:
    """Whether a built-in rule is at least as strict about the same column."""
    same = built.type == drafted.type and built.columns == drafted.columns and "row_condition" not in built.kwargs
    if not same or built.mostly < drafted.mostly:
        return False
    if "value_set" in drafted.kwargs:
        return set(built.kwargs["value_set"]) <= set(drafted.kwargs["value_set"])
    low, high = (built.kwargs.get(key) for key in ("min_value", "max_value"))
    wanted_low, wanted_high = (drafted.kwargs.get(key) for key in ("min_value", "max_value"))
    low_kept = wanted_low is None or (low is not None and low >= wanted_low)
    return low_kept and (wanted_high is None or (high is not None and high <= wanted_high))


# --- in words ---------------------------------------------------------------------------------------------------


def _figures(drafted: _Drafted, counted: _Counted) -> str:
    """The comment's figure: what was measured, and what share of the whole reference keeps the rule."""
    examined, kept = counted.examined, counted.examined - counted.broken
    share = _share(kept, examined)
    if drafted.rule.type == _NOT_NULL:
        return f"{kept:,} of {examined:,} rows have a value ({share})."
    if drafted.rule.type == _UNIQUE:
        return f"{kept:,} of {examined:,} values stand in one row alone ({share})."
    if drafted.rule.type == _IN_SET:
        return f"{drafted.measured}: {share} of the {examined:,} that hold one."
    return f"{drafted.measured}; {_several(counted.broken, 'row')} of {examined:,} outside the limits."


def _share(part: int, whole: int) -> str:
    """A percentage that says 100 only of all.

    >>> _share(9_999, 10_000), _share(99_999, 100_000), _share(3, 3)
    ('99.99 %', '99.99 %', '100 %')
    """
    return "100 %" if part == whole else f"{math.floor(10_000 * part / whole) / 100:g} %"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.4g}"


def _from_to(spread: Spread) -> str:
    low, high = _number(spread.low_tail), _number(spread.high_tail)
    return low if low == high else f"{low} to {high}"


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "before all calendars"


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _in_words(name: str) -> str:
    """A column's name on one line, of bearable length, printable."""
    shown = name if name.isprintable() else repr(name)
    return shown if len(shown) <= 60 else shown[:59] + "…"


def _slug(name: str, number: int) -> str:
    """The part of an id that says which column; ids are letters, digits and signs that need no quoting."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name)[:40].strip("-") or f"column-{number}"


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    taken.add(name)
    return name


# --- as YAML ----------------------------------------------------------------------------------------------------


def _head(batch: Batch) -> list[str]:
    names = [part.found.name for part in batch.parts]
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return [
        f"# A suite for {batch.kind}, drafted by shopmon from {_quoted(names[0])}{more}: {batch.rows:,} rows.",
        "# A draft says what that reference shows, dirt included. Read it, correct it, and take out what is chance.",
        "#",
        "# severity: critical fails a check; warning and info are told. Every row that breaks a rule is quarantined.",
        "# mostly: the share of rows (0-1) that must keep the rule; the others are quarantined, marked as tolerated.",
        "# Columns go by role (text, stars, title, …) where they have one, else by their own name.",
        f"name: {batch.kind}-draft",
        f"kind: {batch.kind}",
        "expectations:",
    ]


def _quoted(text: str) -> str:
    """Text from data in a comment: printable, on one line, of bearable length."""
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:59] + "…"


def _built_in_part(suite: Suite, kept: Sequence[Rule], batch: Batch) -> list[str]:
    """The built-in suite as its file has it, comments included, without the rules that do not apply."""
    written = suite.path.read_text(encoding="utf-8").splitlines()
    lines = ["  # === shopmon's rules for " + batch.kind + " ==="]
    heading: str | None = None
    for rule, after in zip(suite.rules, [*(r.line for r in suite.rules[1:]), len(written) + 1], strict=True):
        start = rule.line - 1
        while written[start - 1].lstrip().startswith("#"):
            start -= 1
        comments = written[start : rule.line - 1]
        if comments and comments[0].startswith("  # ---"):
            heading, comments = comments[0], comments[1:]
        if rule not in kept:
            continue
        body = [
            line for line in written[rule.line - 1 : after - 1] if line.strip() and not line.lstrip().startswith("#")
        ]
        lines += [heading] if heading else []
        lines += [*comments, *(_with_languages(body, rule, batch) if rule.type == _LANGUAGE else body), ""]
        heading = None
    left_out = [rule.id for rule in suite.rules if rule not in kept]
    if left_out:
        lines += ["  # Left out, because this batch has nothing to ask them of:", *_wrapped(left_out), ""]
    return lines


def _with_languages(body: Sequence[str], rule: Rule, batch: Batch) -> list[str]:
    """The languages rule with the languages that were found in its column, and a comment that says so."""
    column = batch.column(rule.columns[0])
    found = languages_of(batch, column, int(rule.kwargs.get("min_length", 40))) if column else None
    if not found:
        return ["  # Too few texts have a language that is sure: these are shopmon's own. Name your shop's.", *body]
    named = "[" + ", ".join(f"'{code}'" for code in found) + "]"  # quoted: a bare no is false to YAML 1.1
    said = "  # Measured: languages that 1 % of a sample of the texts or more are surely in."
    return [said, *(re.sub(r"languages: \[[^\]]*\]", lambda _: f"languages: {named}", line) for line in body)]


def _wrapped(words: Sequence[str]) -> list[str]:
    lines = ["  #  "]
    for word in words:
        if len(lines[-1]) + len(word) > _ONE_LINE:
            lines.append("  #  ")
        lines[-1] += f" {word}"
    return lines


def _columns_part(
    figures: Sequence[Figures], drafted: Sequence[_Drafted], unmet: Mapping[str, Sequence[str]]
) -> list[str]:
    lines = ["  # === measured on the reference ===", ""]
    for one in figures:
        about = [rule for rule in drafted if rule.rule.columns == (one.column.name,)]
        lines.append(f"  # --- {_title(one)} ---")
        notes = unmet.get(one.column.name, [])
        lines += [*(f"  # {note}" for note in notes), ""] if notes else []
        if not about and not notes:
            lines += [f"  # {_why_nothing(one)}", ""]
        for item in about:
            lines += [f"  # {item.measured}", *_emitted(item.rule), ""]
    return lines


def _title(one: Figures) -> str:
    return (
        f"{one.column.name}, the column {_quoted(one.own.name)}"
        if one.is_role
        else f"the column {_quoted(one.own.name)}"
    )


def _why_nothing(one: Figures) -> str:
    if one.held == 0:
        return "It holds no value."
    if one.column.holds is None:
        return "It is nested or binary, and too often missing to ask for."
    return "Nothing more than the rules above ask already."


def _table_part(batch: Batch, unmeasured: int, hidden: Sequence[str]) -> list[str]:
    columns = [column.name for column in batch.own_columns]
    rule = Rule(
        "draft-columns", "expect_table_columns_to_match_set", {"column_set": columns, "exact_match": False},
        Severity.WARNING, 0, "a column is missing",
    )  # fmt: skip
    low, high = (
        _rounded(batch.rows / 2, batch.rows / 2, math.floor, True),
        _rounded(2 * batch.rows, batch.rows, math.ceil, True),
    )
    lines = ["  # --- the table ---"]
    if unmeasured:
        many = _several(unmeasured, "column")
        lines.append(f"  # Not measured: {many} without a role; a rule is asked of {MOST_COLUMNS:,} columns at most.")
    if hidden:
        lines.append(
            f"  # No rule can name {', '.join(map(_quoted, hidden[:10]))}: a role that another column has is called so."
        )
    return [
        *lines,
        f"  # {_several(len(columns), 'column')} in the reference; further ones are welcome.",
        *_emitted(rule),
        "",
        f"  # {batch.rows:,} rows in the reference. How many a batch should have, only you know:",
        "  # - type: expect_table_row_count_to_be_between",
        f"  #   kwargs: {{min_value: {max(1, int(low))}, max_value: {int(high)}}}",
        "  #   severity: warning",
        "  #   meta: {id: draft-row-count, draft: true, says: the batch is smaller or larger than usual}",
    ]


def _emitted(rule: Rule) -> list[str]:
    """One rule as lines of YAML. The emitter writes every value: text from data can be anything."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    def flow(mapping: Mapping[str, Any]) -> CommentedMap:
        made = CommentedMap(mapping)
        made.fa.set_flow_style()
        return made

    def written(value: Any) -> Any:
        # In single quotes the emitter loses U+0085; older readers take a bare NO for false.
        plain = not isinstance(value, str) or (value.isprintable() and value.lower() not in _NOT_BARE)
        return value if plain else DoubleQuotedScalarString(value)

    def short(value: Any) -> bool:
        return isinstance(value, bool | int | float) or (
            isinstance(value, str) and len(value) <= 40 and value.isprintable()
        )

    kwargs = CommentedMap()
    for key, value in rule.kwargs.items():
        if isinstance(value, list):
            sequence = CommentedSeq(map(written, value))
            if all(map(short, value)) and sum(len(str(member)) + 2 for member in value) <= _ONE_LINE:
                sequence.fa.set_flow_style()
            kwargs[key] = sequence
        elif key != "mostly":
            kwargs[key] = written(value)
    item = CommentedMap(type=rule.type)
    item["kwargs"] = flow(kwargs) if all(map(short, kwargs.values())) else kwargs
    item["severity"] = str(rule.severity)
    if "mostly" in rule.kwargs:
        item["mostly"] = rule.kwargs["mostly"]
    item["meta"] = flow({"id": rule.id, "draft": True, "says": written(rule.says)})
    yaml = YAML(typ="rt")
    yaml.width = 2**30  # a folded text would be read back with other spaces
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    yaml.dump([item], stream)
    return stream.getvalue().rstrip("\n").split("\n")
