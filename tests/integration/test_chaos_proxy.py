"""The fault proxy on real sockets: it passes on, comes late, cuts, and falls silent."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from deploy.local.chaos import proxy
from deploy.local.chaos.proxy import order
from deploy.local.sandbox.testing import free_port
from deploy.local.stack import CHECKOUT

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Way:
    """A way through the proxy to a server that answers each line with the same line."""

    port: int
    control: int

    async def misbehave(self, mode: proxy.Mode, seconds: float = 0.0) -> None:
        """Order a fault."""
        await order(self.control, "echo", mode, seconds)


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    """The proxy as the process it is, with one link."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    way = Way(free_port(), free_port())
    link = f"echo={way.port}:{server.sockets[0].getsockname()[1]}"
    command = [sys.executable, "-m", "deploy.local.chaos.proxy", str(way.control), link]
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT)
    async with asyncio.timeout(30):
        while not await _listens(way.control):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    yield way
    process.kill()
    await process.wait()
    server.close()
    await server.wait_closed()


async def _listens(port: int) -> bool:
    try:
        async with _connected(port):
            return True
    except OSError:
        return False


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[Ends]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        yield reader, writer
    finally:
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    await _closed(writer)


async def _answer(ends: Ends, text: bytes, seconds: float = 5.0) -> bytes | None:
    """What comes back for a line; None from a connection that has ended."""
    reader, writer = ends
    try:
        writer.write(text)
        async with asyncio.timeout(seconds):
            return await reader.readline() or None
    except ConnectionError:
        return None


async def test_everything_passes_in_order(way: Way) -> None:
    """A megabyte comes back as it was, also when a delay begins and ends in the middle of it."""
    lines = [b"%07d" % number * 20 + b"\n" for number in range(7000)]
    async with _connected(way.port) as (reader, writer):
        for number, line in enumerate(lines):
            writer.write(line)
            if number in (2000, 4000):
                await writer.drain()
                await way.misbehave("delay" if number == 2000 else "open", 0.05)
        async with asyncio.timeout(20):
            assert [await reader.readline() for _ in lines] == lines


async def test_delay_makes_every_answer_late(way: Way) -> None:
    """There and back are both late by the delay; afterwards nothing is."""
    async with _connected(way.port) as ends:
        await way.misbehave("delay", 0.2)
        started = time.monotonic()
        assert await _answer(ends, b"late\n") == b"late\n"
        assert time.monotonic() - started >= 0.4
        await way.misbehave("open")
        assert await _answer(ends, b"soon\n") == b"soon\n"


async def test_cut_resets_old_and_new_connections(way: Way) -> None:
    """While cut, connections end at once; afterwards new ones work."""
    async with _connected(way.port) as old:
        assert await _answer(old, b"here\n") == b"here\n"
        await way.misbehave("cut")
        assert await _answer(old, b"gone\n") is None
        async with _connected(way.port) as new:
            assert await _answer(new, b"gone\n") is None
    await way.misbehave("open")
    async with _connected(way.port) as again:
        assert await _answer(again, b"back\n") == b"back\n"


async def test_half_open_tells_nobody(way: Way) -> None:
    """Old and new connections stay open and silent; when it ends they are reset, and new ones work."""
    async with _connected(way.port) as old:
        assert await _answer(old, b"here\n") == b"here\n"
        await way.misbehave("half_open")
        async with _connected(way.port) as new:
            for one in (old, new):
                with pytest.raises(TimeoutError):
                    await _answer(one, b"lost\n", seconds=0.3)
            await way.misbehave("open")
            assert [await _answer(one, b"") for one in (old, new)] == [None, None]
    async with _connected(way.port) as again:
        assert await _answer(again, b"back\n") == b"back\n"
