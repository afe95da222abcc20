"""The one port for time, randomness and waiting.

The pure core never reads a clock or draws a number: it is given what it needs from here.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from datetime import UTC, datetime
from typing import Protocol

from shared.identifiers import crockford

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class Environment(Protocol):
    """Time, randomness and waiting, as the code around the core sees them."""

    def now(self) -> datetime:
        """The time in UTC, cut to milliseconds."""
        ...

    def token(self, nbytes: int = 16) -> str:
        """Random lowercase Crockford base32 of `nbytes` bytes (16 give 26 characters)."""
        ...

    def entropy(self, nbytes: int) -> bytes:
        """Random bytes fit for keys and nonces."""
        ...

    def random(self) -> float:
        """A number in [0, 1) for jitter, never for secrets."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        ...


class SystemEnvironment:
    """The machine's clock and its source of randomness."""

    def now(self) -> datetime:
        """The machine's time in UTC, cut to milliseconds."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def token(self, nbytes: int = 16) -> str:
        """Random text from the operating system."""
        return crockford(os.urandom(nbytes))

    def entropy(self, nbytes: int) -> bytes:
        """Random bytes from the operating system."""
        return os.urandom(nbytes)

    def random(self) -> float:
        """A number in [0, 1)."""
        return random.random()  # noqa: S311 - jitter only

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds on the event loop."""
        await asyncio.sleep(seconds)


def to_milliseconds(moment: datetime) -> datetime:
    """The moment in UTC, cut (not rounded) to milliseconds; ValueError without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a time needs a time zone")
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-21T08:30:00.000Z`; ValueError without a time zone."""
    return to_milliseconds(moment).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_timestamp(text: str) -> datetime:
    """RFC 3339 with any offset and up to nine decimals, as UTC cut to milliseconds; ValueError for anything else."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError("expected an RFC 3339 time such as 2026-11-21T08:30:00.000Z")
    decimals = (found[1] or ".0")[1:7]
    whole = text[:19].upper()
    offset = "+00:00" if found[2] in "Zz" else found[2]
    return to_milliseconds(datetime.fromisoformat(f"{whole}.{decimals.ljust(6, '0')}{offset}"))
