"""What did people decide about the rows that were gathered?

Nothing is overwritten: a decision about a text stands until a newer one is made, and one that is withdrawn stays in the
history. What is decided at once is one act, made or withdrawn as a whole.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Index,
    Integer,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
    tuple_,
    update,
)

from expectations.errors import ShopmonError
from monitor.run_database import METADATA, MIGRATION_LOCK, Instant, one_at_a_time, told, writing

ROLES = ("positive", "negative", "counterfactual", "replay")
"""The roles that a row can be given: those of the edge-case rules."""
REVIEW_LOCK = MIGRATION_LOCK + 1
_HASH = re.compile(r"[0-9a-f]{64}")

REVIEWS = Table(
    "shopmon_reviews",  # a PostgreSQL database may be shared with others
    METADATA,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("act", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("role", Text),
    Column("label", Text),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("withdrawn_by", Text),
    Column("withdrawn_at", Instant),
    Index("shopmon_reviews_text", "kind", "text_hash"),
    Index("shopmon_reviews_act", "act"),
)
_TEXT = (REVIEWS.c.kind, REVIEWS.c.text_hash)
_NEWEST_FIRST = REVIEWS.c.number.desc()
_NOT_WITHDRAWN = REVIEWS.c.withdrawn_at.is_(None)


class Verdict(StrEnum):
    """What a person says of a row."""

    ACCEPTED = "accepted"
    """Learn from it, as it was gathered."""
    REJECTED = "rejected"
    """Neither learn from it nor measure on it."""
    RELABELLED = "relabelled"
    """Learn from it, but in another role or with another label."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person asks of one row of the retraining set. Raises ValueError where that makes no sense.

    >>> Decision(kind="reviews", text_hash="3f" * 32, verdict=Verdict.RELABELLED)
    Traceback (most recent call last):
    ValueError: a row is relabelled with a role or a label, and this has neither
    """

    kind: str
    """`reviews`, `products`, `queries` or `relevance`."""
    text_hash: str
    """`monitor.retraining_set.text_hash` of its text."""
    verdict: Verdict
    role: str | None = None
    """Its new role, one of `ROLES`; only for one that is relabelled."""
    label: str | None = None
    """Its new label; only for one that is relabelled."""

    def __post_init__(self) -> None:
        relabelled = Verdict(self.verdict) is Verdict.RELABELLED
        if not relabelled and (self.role, self.label) != (None, None):
            raise ValueError(f"only a row that is relabelled has a role or a label, and this is {self.verdict}")
        if relabelled and self.role is None and self.label is None:
            raise ValueError("a row is relabelled with a role or a label, and this has neither")
        if self.role is not None and self.role not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}, got {self.role!r}")
        if self.label is not None and not (self.label.strip() and _can_be_kept(self.label)):
            raise ValueError(
                f"a label is a text that is not blank, without U+0000 or half characters, got {self.label!r}"
            )
        if not self.kind.strip() or not _can_be_kept(self.kind):
            raise ValueError(f"a kind is a name such as 'reviews', got {self.kind!r}")
        if not _HASH.fullmatch(self.text_hash):
            raise ValueError(f"a text's hash has 64 hexadecimal digits, got {self.text_hash!r}")


@dataclass(frozen=True, kw_only=True)
class Decided(Decision):
    """What a person decided of one row, and whether it was withdrawn."""

    number: int
    """From 1; a later decision has a larger one."""
    act: str
    """What was decided at once has the same."""
    by: str
    at: datetime
    """In UTC."""
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None
    """In UTC; None while it stands."""


@dataclass(frozen=True)
class Reviewed:
    """What decisions mean to a training, by the hash of a text: the same text is one text, whatever kind it is of."""

    rejected: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()
    """Those that were relabelled among them."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Text hash → the role it was given."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Text hash → the label it was given."""


def reviewed(standing: Mapping[tuple[str, str], Decided]) -> Reviewed:
    """What the decisions that stand mean to a training; of two about one text, in two kinds, the newer one counts.

    >>> reviewed({})
    Reviewed(rejected=frozenset(), accepted=frozenset(), roles={}, labels={})
    """
    latest = {one.text_hash: one for one in sorted(standing.values(), key=lambda one: one.number)}
    rejected = frozenset(digest for digest, one in latest.items() if one.verdict is Verdict.REJECTED)
    return Reviewed(
        rejected=rejected,
        accepted=frozenset(latest) - rejected,
        roles={digest: one.role for digest, one in latest.items() if one.role is not None},
        labels={digest: one.label for digest, one in latest.items() if one.label is not None},
    )


def decided_labels(standing: Mapping[tuple[str, str], Decided]) -> dict[tuple[str, str], str]:
    """(kind, text hash) → the label that a person gave, as `RetrainingSet.read` takes them.

    >>> decided_labels({})
    {}
    """
    return {key: one.label for key, one in standing.items() if one.label is not None}


@dataclass(frozen=True)
class Changed:
    """What stands otherwise than at an earlier version of the decisions."""

    version: tuple[int, ...]
    """As `Reviews.version` gives it: what to ask with the next time."""
    texts: Mapping[tuple[str, str], tuple[str, str | None, str | None] | None]
    """(kind, text hash) → verdict, role and label that stand now; None where nothing stands any more."""


class Reviews:
    """The decisions in a run store, where several processes may decide at once: `RunStore.reviews` gives it.

    Every method raises RunStoreError, with advice and without passwords, when the database cannot do its part.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from monitor.runs import RunStore
    >>> bad = Decision(kind="reviews", text_hash="3f" * 32, verdict=Verdict.REJECTED)
    >>> with TemporaryDirectory() as folder, RunStore.open(Path(folder) / "runs.sqlite") as store:
    ...     act = store.reviews.decide([bad], by="Ann")
    ...     [(one.verdict.value, one.by) for one in store.reviews.standing().values()]
    ...     len(store.reviews.undo(by="Ann")), len(store.reviews.standing()), len(store.reviews.history())
    [('rejected', 'Ann')]
    (1, 0, 1)
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = url

    def decide(self, decisions: Sequence[Decision], *, by: str) -> str:
        """Record what a person decided at once, all of it or nothing; gives the act's name.

        Earlier decisions about the same texts no longer count. Raises ShopmonError where `by` names nobody; ValueError
        where nothing was decided, or two things about one text.
        """
        person, now = _person(by), datetime.now(UTC)
        _refuse_what_is_no_act(decisions)
        act = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        rows = [
            {
                "act": act,
                "kind": one.kind,
                "text_hash": one.text_hash,
                "verdict": str(one.verdict),
                "role": one.role,
                "label": one.label,
                "decided_by": person,
                "decided_at": now,
            }
            for one in decisions
        ]
        with self._writing() as connection:
            connection.execute(insert(REVIEWS), rows)
        return act

    def undo(self, *, by: str) -> tuple[Decided, ...]:
        """Withdraw the newest act of this person that stands, and give what it had decided; () where there is none.

        For each of its texts the decision before it counts again, whoever made that. Raises ShopmonError where `by`
        names nobody.
        """
        person, now = _person(by), datetime.now(UTC)
        own = select(REVIEWS.c.act).where(REVIEWS.c.decided_by == person, _NOT_WITHDRAWN)
        with self._writing() as connection:
            act = connection.execute(own.order_by(_NEWEST_FIRST).limit(1)).scalar()
            if act is None:
                return ()
            of_act = REVIEWS.c.act == act
            connection.execute(update(REVIEWS).where(of_act).values(withdrawn_by=person, withdrawn_at=now))
            return _decided(connection, select(REVIEWS).where(of_act).order_by(REVIEWS.c.number))

    def standing(self, kind: str | None = None) -> Mapping[tuple[str, str], Decided]:
        """(kind, text hash) → the newest decision about it that was not withdrawn, oldest first; of one kind or all."""
        asked = select(REVIEWS).where(_stands(kind)).order_by(REVIEWS.c.number)
        with self._reading() as connection:
            return {(one.kind, one.text_hash): one for one in _decided(connection, asked)}

    def history(self, *, limit: int = 50, kind: str | None = None, text_hash: str | None = None) -> tuple[Decided, ...]:
        """The newest decisions first, withdrawn ones among them: all of them, of one kind, or about one text.

        Raises ValueError for a limit below 1.
        """
        if limit < 1:
            raise ValueError(f"a limit is a whole number of 1 or more, got {limit}")
        asked = select(REVIEWS).where(*_of(kind=kind, text_hash=text_hash)).order_by(_NEWEST_FIRST).limit(limit)
        with self._reading() as connection:
            return _decided(connection, asked)

    def counts(self, kind: str | None = None) -> Mapping[Verdict, int]:
        """Each verdict, and how many texts it stands for now; of one kind or of all."""
        asked = select(REVIEWS.c.verdict, func.count()).where(_stands(kind)).group_by(REVIEWS.c.verdict)
        with self._reading() as connection:
            found = {str(verdict): int(count) for verdict, count in connection.execute(asked)}
        return {verdict: found.get(verdict.value, 0) for verdict in Verdict}

    def version(self) -> tuple[int, ...]:
        """What changes with every decision that is made or withdrawn: the newest one's number, and how many were."""
        with self._reading() as connection:
            return _version(connection)

    def changed(self, since: tuple[int, ...] = ()) -> Changed:
        """The texts about which something else may stand than at a version, and what stands now; else all that stands.

        Thousands of decisions need not be read again after each one: only what was decided since, and what was ever
        withdrawn where anything was since.
        """
        with self._reading() as connection:
            now = _version(connection)  # first: what is decided from here on is told the next time as well
            if now == since:
                return Changed(now, {})
            asked = select(*_TEXT, REVIEWS.c.verdict, REVIEWS.c.role, REVIEWS.c.label)
            if not since:
                found = connection.execute(asked.where(_stands(None)))
                return Changed(now, {(kind, digest): (*said,) for kind, digest, *said in found})
            number, withdrawn = since
            moved = REVIEWS.c.number > number
            if now[1] != withdrawn:
                moved = moved | REVIEWS.c.withdrawn_at.is_not(None)
            touched = connection.execute(select(*_TEXT).where(moved).distinct()).all()
            found = connection.execute(asked.where(_stands(None, tuple_(*_TEXT).in_(select(*_TEXT).where(moved)))))
            stand = {(kind, digest): (*said,) for kind, digest, *said in found}
        return Changed(now, {**dict.fromkeys((kind, digest) for kind, digest in touched), **stand})

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told(self._url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One act after the other, so that numbers are committed in their order: `version` relies on it."""
        with told(self._url), writing(self._engine) as connection:
            one_at_a_time(connection, REVIEW_LOCK)
            yield connection


def _of(**asked: str | None) -> list[ColumnElement[bool]]:
    return [REVIEWS.c[name] == value for name, value in asked.items() if value is not None]


def _version(connection: Connection) -> tuple[int, ...]:
    asked = select(func.coalesce(func.max(REVIEWS.c.number), 0), func.count(REVIEWS.c.withdrawn_at))
    return tuple(int(number) for number in connection.execute(asked).one())


def _stands(kind: str | None, *of: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether it is the newest decision about its text that was not withdrawn; `of` says which texts are meant."""
    newest = select(func.max(REVIEWS.c.number)).where(_NOT_WITHDRAWN, *_of(kind=kind), *of)
    return REVIEWS.c.number.in_(newest.group_by(REVIEWS.c.kind, REVIEWS.c.text_hash))


def _decided(connection: Connection, asked: Any) -> tuple[Decided, ...]:
    return tuple(_one(row) for row in connection.execute(asked))


def _one(row: Row[Any]) -> Decided:
    values = dict(row._mapping)
    by, at = values.pop("decided_by"), values.pop("decided_at")
    return Decided(**{**values, "verdict": Verdict(values["verdict"])}, by=by, at=at)


def _person(by: str) -> str:
    """The name without blanks around it, so that one person is one name."""
    name = by.strip()
    if not name:
        raise ShopmonError(f"a decision needs a name, got {by!r}", advice="Say who decides, as by='Ann'.")
    if not _can_be_kept(name):
        raise ShopmonError(
            f"the name {name!r} cannot be kept: it holds U+0000 or half a character",
            advice="Give a name that can be written in UTF-8.",
        )
    return name


def _refuse_what_is_no_act(decisions: Sequence[Decision]) -> None:
    if not decisions:
        raise ValueError("an act has at least one decision, got none")
    seen = set()
    for one in decisions:
        if (one.kind, one.text_hash) in seen:
            raise ValueError(f"an act decides about a text once, got {one.kind} {one.text_hash} twice")
        seen.add((one.kind, one.text_hash))


def _can_be_kept(text: str) -> bool:
    """Whether both databases can hold a text: PostgreSQL has no U+0000, and neither has half a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
