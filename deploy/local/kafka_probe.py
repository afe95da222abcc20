"""Asks a Kafka broker one Metadata request over a plain socket: is it there, and which cluster is it?

Wire format: Kafka protocol guide, Metadata v2 (API key 3), big-endian.
"""

import socket
import struct


def cluster_id(port: int, timeout: float = 2.0) -> str | None:
    """The cluster id of the broker on 127.0.0.1:`port`, None before it is live. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        if connection.getsockname() == connection.getpeername():
            # Among the ports that the system gives to clients, one that nobody listens on may be connected to itself.
            raise ConnectionError("nobody listens")
        connection.sendall(request())
        (size,) = struct.unpack(">i", _read(connection, 4))
        return parse(_read(connection, size))


def request() -> bytes:
    """A length-prefixed Metadata v2 request for no topic."""
    client = b"dossierbus-probe"
    body = struct.pack(">hhih", 3, 2, 1, len(client)) + client + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


def parse(answer: bytes) -> str | None:
    """The cluster id in a Metadata v2 answer (without its length), None when the answer names no broker."""
    (brokers,) = struct.unpack_from(">i", answer, 4)
    position = 8
    for _ in range(brokers):
        _, position = _string(answer, position + 4)
        _, position = _string(answer, position + 4)
    cluster, _ = _string(answer, position)
    return cluster if brokers else None


def _string(answer: bytes, position: int) -> tuple[str | None, int]:
    (length,) = struct.unpack_from(">h", answer, position)
    if length < 0:
        return None, position + 2
    end = position + 2 + length
    return answer[position + 2 : end].decode(), end


def _read(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise ConnectionError("the broker closed the connection")
        content += part
    return content
