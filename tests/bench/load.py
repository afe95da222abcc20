"""A load generator: keep-alive connections that each send the next prepared request when the last is answered.

Plain asyncio streams, since a full HTTP client would use more of a small machine than what it measures.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson


@dataclass(frozen=True)
class Load:
    """What came of a load: requests a second, and each request's milliseconds."""

    rate: float
    milliseconds: Sequence[float]


def submissions(people: Sequence[dict[str, Any]], count: int) -> list[bytes]:
    """Return so many requests to hand in a dossier, each a new one, of the residents in turn."""
    return [_submission(people[number % len(people)]) for number in range(count)]


async def send(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Send every request once and wait for all answers. Raises RuntimeError for an answer other than 201."""
    waiting, found = iter(requests), list[float]()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_connection(port, waiting, found))
    return Load(len(requests) / (time.perf_counter() - began), found)


async def _connection(port: int, waiting: Iterator[bytes], found: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in waiting:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if b" 201 " not in head[:20]:
            raise RuntimeError((head + answer).decode()[:2000])
        found.append((time.perf_counter() - began) * 1000)
    writer.close()


def _submission(person: dict[str, Any]) -> bytes:
    body = orjson.dumps(
        {
            "service": "residence-certificate",
            "language": "de",
            "person": {
                "official_name": person["officialName"],
                "first_name": person["firstName"],
                "date_of_birth": person["dateOfBirth"],
                "ahv": person["vn_formatted"],
            },
            "contact": {"email": person["email"]},
            "form": {"purpose": "bank", "content": "with_move_in_date"},
            "consents": ["residence"],
            "payment_method": "card",
        }
    )
    head = (
        f"POST /v1/dossiers HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {person['token']}\r\n"
        f"Idempotency-Key: {uuid4().hex}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
