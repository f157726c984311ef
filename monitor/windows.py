"""In which window of time does a row lie?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from expectations.errors import ShopmonError

ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday. Windows are counted from here, in both directions: those of seven days begin on Mondays, midnight UTC."""
_WRITTEN = re.compile(r"([1-9][0-9]{0,3})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Windows:
    """Time, cut into windows of one length."""

    written: str
    """As it was asked for: `7d`, `24h`, `2w`."""

    def __post_init__(self) -> None:
        if not _WRITTEN.fullmatch(self.written):
            raise ShopmonError(
                f"{self.written!r} is no length of time",
                advice='Write a number and h, d or w, as "24h", "1d", "7d", "2w" or "30d".',
            )

    @property
    def length(self) -> timedelta:
        """Of each window, one hour or more."""
        found = _WRITTEN.fullmatch(self.written)
        if found is None:
            raise AssertionError(self.written)
        return int(found[1]) * _UNITS[found[2]]

    def start(self, place: int) -> datetime:
        """When a window begins; number 0 is the one that begins at `ORIGIN`."""
        return ORIGIN + place * self.length

    def name(self, place: int) -> str:
        """When a window begins, as text: the day, and the hour where windows are no whole days.

        >>> Windows("7d").name(2968), Windows("6h").name(-1)
        ('2026-11-23', '1970-01-04T18')
        """
        return self.start(place).strftime(
            "%Y-%m-%d" if self.length % timedelta(days=1) == timedelta(0) else "%Y-%m-%dT%H"
        )

    def place(self, moment: datetime) -> int:
        """The number of the window in which a moment lies; one without a zone is taken as UTC.

        >>> Windows("7d").place(datetime(1970, 1, 4, 23, 59)), Windows("7d").place(datetime(1970, 1, 5))
        (-1, 0)
        """
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware - ORIGIN) // self.length

    def place_sql(self, moment: str) -> str:
        """SQL: the number of the window in which a timestamp lies; null where there is none."""
        length, since = self.length // _MICROSECOND, f"(epoch_us({moment}) - {(ORIGIN - _EPOCH) // _MICROSECOND})"
        return f"(({since} - (({since} % {length}) + {length}) % {length}) // {length})"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
