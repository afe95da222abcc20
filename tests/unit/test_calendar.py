"""Working days and deadlines around Easter, 1 August, leap days and the change of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calendar import CANTONS, Deadline, add_working_days, expected_by, is_working_day

ZURICH = ZoneInfo("Europe/Zurich")


@pytest.mark.parametrize(
    ("start", "n", "canton", "end"),
    [
        (date(2026, 11, 19), 2, "LU", date(2026, 11, 23)),  # over a weekend
        (date(2026, 4, 2), 1, "LU", date(2026, 4, 7)),  # Good Friday and Easter Monday
        (date(2026, 4, 2), 1, "VS", date(2026, 4, 3)),  # Valais works on Good Friday
        (date(2025, 7, 31), 1, "LU", date(2025, 8, 4)),  # 1 August is a Friday
        (date(2025, 7, 31), 1, "ZH", date(2025, 8, 4)),
        (date(2028, 2, 28), 1, "LU", date(2028, 2, 29)),  # leap day, a Tuesday
        (date(2028, 2, 28), 2, "LU", date(2028, 3, 1)),
        (date(2026, 12, 31), 1, "LU", date(2027, 1, 4)),  # New Year and 2 January, over the turn of the year
        (date(2026, 6, 3), 1, "LU", date(2026, 6, 5)),  # Corpus Christi in Lucerne
        (date(2026, 6, 3), 1, "ZH", date(2026, 6, 4)),  # and none in Zurich
        (date(2026, 11, 21), 0, "LU", date(2026, 11, 23)),  # nothing to wait for, but a Saturday
        (date(2026, 11, 20), 0, "LU", date(2026, 11, 20)),
    ],
)
def test_working_days(start: date, n: int, canton: str, end: date) -> None:
    """The day after the start counts first; weekends and the canton's holidays never count."""
    assert add_working_days(start, n, canton) == end


@given(
    start=st.dates(date(2020, 1, 1), date(2035, 12, 31)),
    n=st.integers(1, 60),
    canton=st.sampled_from(sorted(CANTONS)),
)
def test_exactly_n_working_days_lie_behind(start: date, n: int, canton: str) -> None:
    """Counting the working days after the start, up to and with the result, gives n, and the result is one of them."""
    end = add_working_days(start, n, canton)
    days = (start + timedelta(days=offset) for offset in range(1, (end - start).days + 1))
    assert sum(is_working_day(day, canton) for day in days) == n
    assert is_working_day(end, canton)


def test_there_are_26_cantons() -> None:
    """The calendar knows the 26 cantons and no city."""
    assert len(CANTONS) == 26


@pytest.mark.parametrize("canton", ["", "XX", "lu", "Stadt Zurich"])
def test_unknown_canton_is_refused(canton: str) -> None:
    """A canton that does not exist is refused and does not silently mean federal holidays only."""
    with pytest.raises(ValueError, match="canton"):
        add_working_days(date(2026, 11, 19), 2, canton)
    with pytest.raises(ValueError, match="canton"):
        expected_by(datetime(2026, 11, 19, 9, tzinfo=UTC), Deadline(2, "hours"), canton)


@pytest.mark.parametrize("n", [-1, -100])
def test_negative_working_days_are_refused(n: int) -> None:
    """Time runs forward only."""
    with pytest.raises(ValueError, match="0 or more"):
        add_working_days(date(2026, 11, 19), n, "LU")


@pytest.mark.parametrize("text", ["WD0", "WD2", "P10D", "PT48H", "PT15M", "PT30S", "WD100000"])
def test_deadlines_are_written_as_they_are_read(text: str) -> None:
    """Parsing and writing are inverse."""
    assert str(Deadline.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "2", "WD", "WD-1", "WD2D", "P1W", "P1M", "P1Y", "P1DT2H", "PT1H30M", "PD", "P10H", "PT2D", "P2", "P1.5D"],
)
def test_other_durations_are_refused(text: str) -> None:
    """Only one component and only the five units are read; months and weeks have no fixed length here."""
    with pytest.raises(ValueError, match="expected WD<n>"):
        Deadline.parse(text)


@pytest.mark.parametrize("text", ["P100001D", "PT999999S", "P" + "9" * 5000 + "D", "P٣D", "P1D\n", " P1D"])
def test_hostile_durations_are_refused(text: str) -> None:
    """Amounts above the limit, foreign digits and blanks are refused before anything is computed."""
    with pytest.raises(ValueError, match="up to 100000"):
        Deadline.parse(text)


def test_working_days_end_with_the_day_in_zurich() -> None:
    """A dossier opened late in the evening of UTC belongs to the next day in Zurich."""
    opened = datetime(2026, 7, 5, 22, 30, tzinfo=UTC)  # Monday 6 July, 00:30 in Zurich
    assert expected_by(opened, Deadline.parse("WD1"), "LU") == datetime(2026, 7, 7, 23, 59, 59, tzinfo=ZURICH)


def test_a_day_keeps_the_clock_over_the_change_and_hours_do_not() -> None:
    """On 29 March 2026 the clock goes forward: P1D is the same time of day, PT24H is one hour later on the clock."""
    opened = datetime(2026, 3, 28, 12, tzinfo=ZURICH)
    day = expected_by(opened, Deadline.parse("P1D"), "LU")
    hours = expected_by(opened, Deadline.parse("PT24H"), "LU")
    assert (day.hour, hours.hour) == (12, 13)
    assert day.astimezone(UTC) - opened.astimezone(UTC) == timedelta(hours=23)
    assert hours.astimezone(UTC) - opened.astimezone(UTC) == timedelta(hours=24)


def test_the_autumn_day_has_25_hours() -> None:
    """On 25 October 2026 the clock goes back."""
    opened = datetime(2026, 10, 24, 12, tzinfo=ZURICH)
    day = expected_by(opened, Deadline.parse("P1D"), "LU")
    assert day.astimezone(UTC) - opened.astimezone(UTC) == timedelta(hours=25)
    assert expected_by(opened, Deadline.parse("PT24H"), "LU").hour == 11


def test_a_time_that_does_not_exist_is_moved_forward() -> None:
    """02:30 on the night of the change becomes 03:30, a time that the clock shows."""
    result = expected_by(datetime(2026, 3, 28, 2, 30, tzinfo=ZURICH), Deadline.parse("P1D"), "LU")
    assert (result.hour, result.minute, result.utcoffset()) == (3, 30, timedelta(hours=2))


def test_a_scale_turns_every_deadline_into_elapsed_time() -> None:
    """Two working days at a scale of 1/86400 are two seconds, holiday or not."""
    opened = datetime(2026, 4, 2, 9, tzinfo=UTC)
    assert expected_by(opened, Deadline.parse("WD2"), "LU", 1 / 86_400) - opened == timedelta(seconds=2)
    assert expected_by(opened, Deadline.parse("PT10M"), "LU", 0.1) - opened == timedelta(minutes=1)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_senseless_scale_is_refused(scale: float) -> None:
    """A scale must be a finite number above 0."""
    with pytest.raises(ValueError, match="scale"):
        expected_by(datetime(2026, 4, 2, 9, tzinfo=UTC), Deadline(1, "days"), "LU", scale)


def test_a_time_without_zone_is_refused() -> None:
    """A naive time is not guessed to be local."""
    with pytest.raises(ValueError, match="time zone"):
        expected_by(datetime(2026, 4, 2, 9, tzinfo=UTC).replace(tzinfo=None), Deadline(1, "days"), "LU")
