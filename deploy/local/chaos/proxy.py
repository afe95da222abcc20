"""A TCP proxy that misbehaves on demand: delay, cut, half-open. A process of its own; knows no protocol.

Orders come as JSON lines on the control port: {"link": "mongo-2", "mode": "delay", "seconds": 0.2}.
"""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

Mode = Literal["open", "delay", "cut", "half_open"]
HOST: Final = "127.0.0.1"


@dataclass
class Link:
    """One way through the proxy, and how it misbehaves now."""

    name: str
    target: int
    mode: Mode = "open"
    seconds: float = 0.0
    sides: "set[Side]" = field(default_factory=set)

    def set(self, mode: Mode, seconds: float = 0.0) -> None:
        """Misbehave in this way from now on, or no longer.

        cut: connections are reset and new ones too. half_open: nothing passes, nobody is told; connections that were
        so are reset when it ends, as by a firewall that forgot them. delay: all bytes come so many seconds later.
        """
        before, self.mode, self.seconds = self.mode, mode, seconds
        if mode == "cut" or before == "half_open":
            for side in list(self.sides):
                side.abort()
        elif mode == "half_open":
            for side in list(self.sides):
                side.hold()


class Side(asyncio.Protocol):
    """One end of a connection through a link; what arrives here leaves at `peer`."""

    def __init__(self, link: Link, peer: "Side | None" = None) -> None:
        self.link = link
        self.peer = peer
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._late: deque[tuple[float, bytes]] = deque()
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part in the link; whoever called is connected onwards."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream, as asked for
        self.transport = transport
        self.link.sides.add(self)
        if self.peer is not None:
            return
        transport.pause_reading()
        if self.link.mode == "cut":
            transport.abort()
        elif self.link.mode != "half_open":
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, peer = await loop.create_connection(lambda: Side(self.link, self), HOST, self.link.target)
        except OSError:
            self.abort()
            return
        self.peer = peer
        if self.transport is None or self.transport.is_closing():
            peer.abort()
        elif self.link.mode == "half_open":
            peer.hold()
        else:
            self.transport.resume_reading()
            for data in self._early:
                self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Pass on, at once or late but in order."""
        if self.peer is None:
            # Before Python 3.11.4 a connection that is paused while it is made reads all the same.
            self._early.append(data)
            return
        if self.link.mode != "delay" and not self._late:
            self._pass_on(data)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + (self.link.seconds if self.link.mode == "delay" else 0.0)
        self._late.append((max(due, self._late[-1][0] if self._late else 0.0), data))
        if len(self._late) == 1:
            loop.call_at(due, self._pass_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side too, after what was still to be passed on."""
        self.link.sides.discard(self)
        while self._late:
            self._pass_on(self._late.popleft()[1])
        if self.peer and self.peer.transport:
            self.peer.transport.abort() if exc else self.peer.transport.close()

    def pause_writing(self) -> None:
        """Take no more from the other side than this one can get rid of."""
        if self.peer and self.peer.transport:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on, unless the link is to be silent."""
        if self.peer and self.peer.transport and self.link.mode != "half_open":
            self.peer.transport.resume_reading()

    def hold(self) -> None:
        """Keep the connection and pass nothing on."""
        if self.transport:
            self.transport.pause_reading()

    def abort(self) -> None:
        """Reset the connection."""
        if self.transport:
            self.transport.abort()

    def _pass_late(self) -> None:
        loop = asyncio.get_running_loop()
        while self._late and self._late[0][0] <= loop.time():
            self._pass_on(self._late.popleft()[1])
        if self._late:
            loop.call_at(self._late[0][0], self._pass_late)

    def _pass_on(self, data: bytes) -> None:
        if self.peer and self.peer.transport and not self.peer.transport.is_closing():
            self.peer.transport.write(data)


class Proxy:
    """All links of an installation and the port on which it takes orders."""

    def __init__(self, links: Mapping[str, tuple[int, int]]) -> None:
        self._listening = {name: listen for name, (listen, _) in links.items()}
        self.links = {name: Link(name, target) for name, (_, target) in links.items()}

    async def serve(self, control: int) -> None:
        """Pass on and obey until cancelled."""
        loop = asyncio.get_running_loop()
        for name, port in self._listening.items():
            await loop.create_server(partial(Side, self.links[name]), HOST, port)
        server = await asyncio.start_server(self._obey, HOST, control)
        async with server:
            await server.serve_forever()

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            order: dict[str, Any] = json.loads(line)
            self.links[order["link"]].set(order["mode"], order.get("seconds", 0.0))
            writer.write(b"{}\n")
            await writer.drain()
        writer.close()


async def order(control: int, link: str, mode: Mode, seconds: float = 0.0) -> None:
    """Tell the proxy to misbehave on a link, or with `open` to stop that. Raises OSError when it is not there."""
    reader, writer = await asyncio.open_connection(HOST, control)
    try:
        writer.write(json.dumps({"link": link, "mode": mode, "seconds": seconds}).encode() + b"\n")
        if not await reader.readline():
            raise ConnectionError("the proxy did not obey")
    finally:
        writer.close()


def main(arguments: Sequence[str]) -> None:
    """Serve: the control port, then `name=listen:target` for each link."""
    links: dict[str, tuple[int, int]] = {}
    for argument in arguments[1:]:
        name, _, ports = argument.partition("=")
        listen, _, target = ports.partition(":")
        links[name] = (int(listen), int(target))
    asyncio.run(Proxy(links).serve(int(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
