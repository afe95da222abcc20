"""A load balancer as a cluster's Service is one: whole connections, to whoever is ready, and never a second try.

Counts what goes wrong on the way: nobody ready, refused, cut before the answer, answered with an error of the server.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx

PROBE_SECONDS = 0.3
"""A cluster looks less often, and is told at once of a pod that is to go; DRAIN_SECONDS must cover either."""


@dataclass
class Balanced:
    """The replicas behind one address, and the connections that went through it."""

    ports: Sequence[int]
    ready: set[int] = field(default_factory=set)
    connections: Counter[int] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def __post_init__(self) -> None:
        self._turns = itertools.count()

    def choose(self) -> int | None:
        """Return the next replica that is ready, in turn."""
        ready = sorted(self.ready)
        return ready[next(self._turns) % len(ready)] if ready else None

    async def watch(self, http: httpx.AsyncClient) -> None:
        """Look who is ready, for ever."""
        while True:
            await asyncio.gather(*(self._probe(http, port) for port in self.ports))
            await asyncio.sleep(PROBE_SECONDS)

    async def _probe(self, http: httpx.AsyncClient, port: int) -> None:
        try:
            answer = await http.get(f"http://127.0.0.1:{port}/health/ready", headers={"Connection": "close"})
            is_ready = answer.status_code == httpx.codes.OK
        except httpx.TransportError:
            is_ready = False
        (self.ready.add if is_ready else self.ready.discard)(port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        port = self.choose()
        try:
            if port is None:
                self.wrong["nobody ready"] += 1
                return
            self.connections[port] += 1
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            self.wrong["refused"] += 1
            return
        else:
            await _Carried(self.wrong).carry(reader, writer, far_reader, far_writer)
            far_writer.close()
        finally:
            writer.close()


class _Carried:
    """One connection on its way."""

    def __init__(self, wrong: Counter[str]) -> None:
        self._wrong = wrong
        self._waiting = False

    async def carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        """Copy both ways until either side ends."""
        ways = [
            asyncio.create_task(self._copy(reader, far_writer, asking=True)),
            asyncio.create_task(self._copy(far_reader, writer, asking=False)),
        ]
        done, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if ways[1] in done and self._waiting:
            self._wrong["cut"] += 1
        for way in left:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, asking: bool) -> None:
        with suppress(OSError):
            while chunk := await source.read(65_536):
                self._waiting = asking
                if not asking and chunk.startswith((b"HTTP/1.1 5", b"HTTP/1.1 429")):
                    self._wrong[chunk[9:12].decode()] += 1
                target.write(chunk)
                await target.drain()


@asynccontextmanager
async def balancing(services: Mapping[str, Sequence[int]]) -> AsyncIterator[dict[str, Balanced]]:
    """Yield a balancer for each service (name -> ports of its replicas), listening, its first replica ready."""
    balanced = {name: Balanced(ports) for name, ports in services.items()}
    servers, tasks = [], []
    async with httpx.AsyncClient(timeout=3) as http:
        for one in balanced.values():
            server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
            one.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            one.ready.add(one.ports[0])
            servers.append(server)
            tasks.append(asyncio.create_task(one.watch(http)))
        try:
            yield balanced
        finally:
            for server in servers:
                server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
