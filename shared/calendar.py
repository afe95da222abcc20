"""Working days and deadlines of a municipality: what "expected by" means on the Swiss calendar.

Owns the arithmetic on days, public holidays (federal and of the canton) and the time zone Europe/Zurich. Never reads
the clock and never decides what happens when a deadline has passed. Only public holidays count, not half days.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import holidays

ZURICH = ZoneInfo("Europe/Zurich")
CANTONS = frozenset(code for code in holidays.country_holidays("CH").subdivisions if len(code) == 2)
MAX_AMOUNT = 100_000
_END_OF_DAY = time(23, 59, 59)
_LAST_YEAR = 2100
_PATTERN = re.compile(r"(WD|PT|P)([0-9]{1,6})([DHMS]?)")

Unit = Literal["working_days", "days", "hours", "minutes", "seconds"]
_UNITS: dict[tuple[str, str], Unit] = {
    ("WD", ""): "working_days",
    ("P", "D"): "days",
    ("PT", "H"): "hours",
    ("PT", "M"): "minutes",
    ("PT", "S"): "seconds",
}


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long something may take: an amount of one unit.

    `working_days` and `days` are days of the calendar in Zurich (a day with a change of the clock is one day);
    hours, minutes and seconds are elapsed time.
    """

    amount: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> "Deadline":
        """Read `WD<n>` (working days) or one ISO 8601 component: `P<n>D`, `PT<n>H`, `PT<n>M`, `PT<n>S`.

        Raises ValueError for everything else, for example mixed components, weeks, months, or n above 100000.
        """
        match = _PATTERN.fullmatch(text)
        unit = _UNITS.get((match[1], match[3])) if match else None
        if match is None or unit is None or int(match[2]) > MAX_AMOUNT:
            raise ValueError(f"expected WD<n>, P<n>D, PT<n>H, PT<n>M or PT<n>S with n up to {MAX_AMOUNT}")
        return cls(int(match[2]), unit)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        prefix, suffix = next(form for form, unit in _UNITS.items() if unit == self.unit)
        return f"{prefix}{self.amount}{suffix}"

    def elapsed(self) -> timedelta:
        """The length as plain elapsed time; a day and a working day count 24 hours."""
        if self.unit == "working_days":
            return timedelta(days=self.amount)
        return timedelta(**{self.unit: self.amount})


def is_working_day(day: date, canton: str) -> bool:
    """Tell whether the day is Monday to Friday and no public holiday in the canton (two letters, for example "LU").

    Raises ValueError for an unknown canton.
    """
    return day.weekday() < 5 and day not in _public_holidays(canton, day.year)


def add_working_days(start: date, n: int, canton: str) -> date:
    """Return the n-th working day after `start`; the day after `start` is the first that can count (VwVG art. 20).

    n = 0 gives `start` itself or, if that is no working day, the next one. Raises ValueError for a negative n, for an
    unknown canton and past the year 2100.
    """
    if n < 0:
        raise ValueError("expected a number of working days of 0 or more")
    day, left = start, n
    while left > 0 or not is_working_day(day, canton):
        day += timedelta(days=1)
        left -= is_working_day(day, canton)
    return day


def expected_by(opened_at: datetime, deadline: Deadline, canton: str, scale: float = 1.0) -> datetime:
    """Return the moment, in Europe/Zurich, by which something that was opened at `opened_at` is expected.

    Working days end with the last second of the last day. `scale` other than 1 is for development and tests: every
    deadline becomes elapsed time multiplied by it. Raises ValueError for a naive time, a scale that is not above 0,
    or an unknown canton.
    """
    if opened_at.tzinfo is None:
        raise ValueError("opened_at: expected a time with a time zone")
    if not 0 < scale < float("inf"):
        raise ValueError("scale: expected a number above 0")
    _public_holidays(canton, opened_at.year)
    local = opened_at.astimezone(ZURICH)
    if scale != 1.0:
        return _after(local, deadline.elapsed() * scale)
    if deadline.unit == "working_days":
        last = add_working_days(local.date(), deadline.amount, canton)
        return datetime.combine(last, _END_OF_DAY, ZURICH)
    if deadline.unit == "days":
        return _existing(local + timedelta(days=deadline.amount))
    return _after(local, deadline.elapsed())


def _after(local: datetime, length: timedelta) -> datetime:
    # Arithmetic on an aware datetime is wall-clock arithmetic: elapsed time has to go through UTC.
    return (local.astimezone(UTC) + length).astimezone(ZURICH)


def _existing(local: datetime) -> datetime:
    # 02:30 does not exist on the night the clock is put forward: the way through UTC makes it 03:30.
    return local.astimezone(UTC).astimezone(ZURICH)


@lru_cache(maxsize=256)
def _public_holidays(canton: str, year: int) -> frozenset[date]:
    if canton not in CANTONS:
        raise ValueError("canton: expected one of " + ", ".join(sorted(CANTONS)))
    if year > _LAST_YEAR:
        raise ValueError(f"expected a day up to the year {_LAST_YEAR}")
    return frozenset(holidays.country_holidays("CH", subdiv=canton, years=year))
