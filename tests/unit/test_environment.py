"""Time, randomness and waiting, real and fake."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.environment import Environment, SystemEnvironment, parse_timestamp, timestamp
from shared.identifiers import crockford, derived_id, keyed_hash
from shared.testing.environment import START, FakeEnvironment


def test_timestamp_is_utc_with_milliseconds_and_z() -> None:
    """A time in any zone is written in UTC, cut to milliseconds, never rounded up."""
    bern = timezone(timedelta(hours=1))
    assert timestamp(datetime(2026, 1, 1, 0, 0, 0, 999_999, bern)) == "2025-12-31T23:00:00.999Z"


def test_timestamp_refuses_a_time_without_zone() -> None:
    """A time without zone could mean anything."""
    with pytest.raises(ValueError, match="time zone"):
        timestamp(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-21T08:30:00Z", "2026-11-21T08:30:00.000Z"),
        ("2026-11-21T08:30:00.1Z", "2026-11-21T08:30:00.100Z"),
        ("2026-11-21t08:30:00.123456789z", "2026-11-21T08:30:00.123Z"),
        ("2026-11-21T09:30:00.5+01:00", "2026-11-21T08:30:00.500Z"),
    ],
)
def test_parse_reads_every_rfc_3339_form(text: str, written: str) -> None:
    """Any offset and any number of decimals give the same instant, in UTC."""
    assert timestamp(parse_timestamp(text)) == written


@pytest.mark.parametrize("text", ["2026-11-21", "2026-11-21T08:30:00", "2026-13-01T00:00:00Z", "", "now"])
def test_parse_refuses_everything_else(text: str) -> None:
    """A date, a time without zone and an impossible month are errors, not guesses."""
    with pytest.raises(ValueError):  # noqa: PT011 - two sources of the same error
        parse_timestamp(text)


def test_system_environment_gives_utc_milliseconds_and_long_tokens() -> None:
    """The real clock is in UTC without microseconds; tokens are 26 characters and differ."""
    environment: Environment = SystemEnvironment()
    assert environment.now().tzinfo is UTC
    assert environment.now().microsecond % 1000 == 0
    tokens = {environment.token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 26 and not set(token) & set("ilou") for token in tokens)
    assert 0 <= environment.random() < 1


def test_same_seed_same_run() -> None:
    """Two fakes with one seed draw the same; another seed draws otherwise."""
    first, second, other = FakeEnvironment(seed=7), FakeEnvironment(seed=7), FakeEnvironment(seed=8)
    assert (first.token(), first.entropy(12), first.random()) == (second.token(), second.entropy(12), second.random())
    assert first.token() != other.token()


async def test_sleepers_wake_when_time_is_advanced_and_not_before() -> None:
    """sleep() waits for advance(): not a moment less, earliest first."""
    environment = FakeEnvironment()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await environment.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper("late", 10)), asyncio.create_task(sleeper("early", 5))]
    await asyncio.sleep(0)
    assert environment.next_due() == START + timedelta(seconds=5)
    environment.advance(timedelta(seconds=4.999))
    await asyncio.sleep(0)
    assert woken == []
    environment.advance(timedelta(seconds=6))
    await asyncio.gather(*tasks)
    assert woken == ["early", "late"]
    assert environment.next_due() is None


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """Cancelling a sleep leaves nothing behind that a later advance would trip over."""
    environment = FakeEnvironment()
    task = asyncio.create_task(environment.sleep(5))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert environment.next_due() is None
    environment.advance(timedelta(seconds=9))


def test_crockford_keeps_leading_zeros_and_order() -> None:
    """Texts of equal length sort like the bytes they stand for."""
    assert crockford(bytes(16)) == "0" * 26
    assert crockford(bytes([255] * 16)) == "7" + "z" * 25
    assert crockford(b"\x00\x01") < crockford(b"\x01\x00")


def test_keyed_hashes_depend_on_key_and_on_where_parts_end() -> None:
    """("ab", "c") and ("a", "bc") are different; so are two keys; a derived id has 26 characters."""
    key, other = b"k" * 32, b"o" * 32
    assert keyed_hash(key, "ab", "c") != keyed_hash(key, "a", "bc")
    assert keyed_hash(key, "ab") != keyed_hash(other, "ab")
    assert derived_id(key, "caller", "cmd-1") == derived_id(key, "caller", "cmd-1")
    assert derived_id(key, "caller", "cmd-1") != derived_id(key, "caller", "cmd-2")
    assert len(derived_id(key, "x")) == 26
    # RFC 4231 style anchor: HMAC-SHA256 over the length-prefixed part, so that a change of format cannot go unseen.
    assert keyed_hash(key, "x")[:16] == "d273d9c2f638621a"
