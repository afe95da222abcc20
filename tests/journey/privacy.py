"""Recognisable personal values, every way they could be written down, and every place where they must not be."""

import base64
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.roles import ROLES
from deploy.local.stack import Stack
from shared.store.mongo import connect

_SHORTEST_TEXT: Final = 5
_SHORTEST_BASE64: Final = 7
# The wrapped data keys, and what the database server keeps for itself and lets nobody read.
_NOT_READ: Final = re.compile(r"vault\.keys|(admin|config|local)\..*")
FIELDS: Final = ("official_name", "first_name", "date_of_birth", "previous_addresses", "houseNumber", "amount_rappen")
"""Names of personal fields: where data lie, they would stand before a value that is not sealed."""


@dataclass(frozen=True)
class Text:
    """A piece of what a place holds, and where that is."""

    place: str
    content: bytes


def needles(values: Iterable[str]) -> dict[bytes, str]:
    """Return every spelling to look for in lower case -> the value it stands for."""
    found: dict[bytes, str] = {}
    for value in values:
        for text in _spellings(value):
            for needle in (text.encode(), text.encode("utf-16-le"), text.encode().hex().encode()):
                found[needle.lower()] = value
            found[json.dumps(text)[1:-1].lower().encode()] = value
            found[quote(text).lower().encode()] = value
    return found


def encoded_needles(values: Iterable[str]) -> dict[bytes, str]:
    """Return what values look like inside base64, wherever they begin; letters' case matters here."""
    found: dict[bytes, str] = {}
    for value in values:
        for text in (value, json.dumps(value)[1:-1]):
            for shift in range(3):
                coded = base64.b64encode(b"\0" * shift + text.encode())
                # The signs at both ends mix with what stands next to the value.
                whole = coded[(0, 2, 3)[shift] : (len(text.encode()) + shift) * 8 // 6]
                if len(whole) >= _SHORTEST_BASE64:
                    found |= {whole: value, whole.translate(bytes.maketrans(b"+/", b"-_")): value}
    return found


def _spellings(value: str) -> set[str]:
    digits = re.sub(r"\D", "", value)
    found = {value, unicodedata.normalize("NFC", value), unicodedata.normalize("NFD", value)}
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        year, month, day = value.split("-")
        found |= {digits, f"{day}.{month}.{year}", f"{int(day)}.{int(month)}.{year}"}
    if re.fullmatch(r"756(\.\d{4}){2}\.\d{2}", value):
        found.add(digits)
    # Bytes know no case beyond ASCII.
    cased = {spelling for text in found for spelling in (text, text.lower(), text.upper())}
    return {text for text in cased if len(text) >= _SHORTEST_TEXT}


class Search:
    """Looks for values in texts; numbers only where no digit or letter of a longer one stands beside them."""

    def __init__(self, values: Sequence[str], numbers: Sequence[int] = ()) -> None:
        self._plain = needles(values)
        self._encoded = encoded_needles(values)
        self._numbers = re.compile(b"(?<![0-9a-zA-Z.-])(?:%s)(?![0-9a-zA-Z.-])" % b"|".join(b"%d" % n for n in numbers))
        self._has_numbers = bool(numbers)

    def hits(self, text: Text) -> list[str]:
        """Return what was found, as `place: value`."""
        lowered = text.content.lower()
        found = {value for needle, value in self._plain.items() if needle in lowered}
        found |= {value for needle, value in self._encoded.items() if needle in text.content}
        if self._has_numbers:
            found |= {match.decode() for match in self._numbers.findall(text.content)}
        return sorted(f"{text.place}: {value}" for value in found)


async def everything(stack: Stack, problems: Sequence[httpx.Response]) -> AsyncIterator[Text]:
    """Yield all that a town wrote down or told anybody but the person."""
    async for text in topics(stack):
        yield text
    async for text in documents(stack):
        yield text
    for text in [*logs(stack), *metrics(stack), spans(stack), *_told(problems)]:
        yield text


async def topics(stack: Stack) -> AsyncIterator[Text]:
    """Yield keys, headers and values of all records of all topics, those of Faust and of agencies too."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = await _partitions(stack)
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        while [part for part in parts if await consumer.position(part) < ends[part]]:
            for part, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    headers = [name.encode() + b"=" + (value or b"") for name, value in record.headers]
                    content = b"\n".join([record.key or b"", *headers, record.value or b""])
                    yield Text(f"topic {part.topic}", content)
    finally:
        await consumer.stop()


async def _partitions(stack: Stack) -> list[TopicPartition]:
    client = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await client.start()
    try:
        names = [name for name in await client.list_topics() if not name.startswith("__")]
        described = await client.describe_topics(names)
    finally:
        await client.close()
    return [TopicPartition(one["topic"], part["partition"]) for one in described for part in one["partitions"]]


async def documents(stack: Stack) -> AsyncIterator[Text]:
    """Yield all documents of all databases as they are stored, but for the vault's keys."""
    uri = stack.root_mongo_uri.replace("/?", "/admin?")
    async with connect(uri) as database:
        client = database.client
        for name in await client.list_database_names():
            for collection in await client[name].list_collection_names(filter={"type": "collection"}):
                if not _NOT_READ.fullmatch(f"{name}.{collection}"):
                    async for batch in client[name][collection].find_raw_batches():
                        yield Text(f"collection {name}.{collection}", batch)


def logs(stack: Stack) -> Iterator[Text]:
    """Yield the logs of all roles, of the database and of the broker."""
    for name in (*ROLES, "mongo", "broker"):
        for file in sorted((stack.root / "log").glob(f"{name}.log*"), key=Path.as_posix):
            yield Text(f"log {file.name}", file.read_bytes())


def metrics(stack: Stack) -> Iterator[Text]:
    """Yield what all roles tell Prometheus."""
    for name in ROLES:
        yield Text(f"metrics of {name}", httpx.get(f"{stack.url(name)}/metrics", timeout=20).content)


def spans(stack: Stack) -> Text:
    """Return every text of every exported span."""
    return Text("spans", httpx.get(f"{stack.url('collector')}/sandbox/dump", timeout=120).content)


def _told(problems: Sequence[httpx.Response]) -> Iterator[Text]:
    for problem in problems:
        yield Text(f"answer {problem.status_code}", repr(problem.headers.raw).encode() + problem.content)


def unsealed_fields(text: Text) -> list[str]:
    """Return names of personal fields that stand as members of JSON or BSON in a record or document."""
    marks: dict[bytes, Any] = {}
    for field in FIELDS:
        marks |= {b'"%s":' % field.encode(): field, b"%s\0" % field.encode(): field}
    return [f"{text.place}: a field {field}" for mark, field in marks.items() if mark in text.content]
