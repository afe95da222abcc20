"""Consuming: order per dossier, waiting in place, dead letters with their followers, what is skipped."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.consumer import LARGEST_LETTER_BYTES
from shared.contracts.envelope import Message, Undecodable, decode
from shared.contracts.topics import IDENTITY_EVENTS
from shared.errors import BrokerUnavailable, Permanent, StorageUnavailable
from tests.unit.consumer_office import DLQ, GROUP, UNSUBSCRIBED, Reader, raw
from tests.unit.sample_journal import CONFIRMED, noted, record_of


async def test_a_dossier_is_handled_in_order() -> None:
    """Events of one dossier, whatever their subject, are handled one after the other as they lie on the topic."""
    reader = Reader()
    wanted = [("d1:2", 1), ("d1:2", 2), ("d1:7", 1), ("d1:2", 3)]
    await reader.send(*wanted)
    assert await reader.read() == 4
    assert reader.desk.handled == [f"{subject}:{sequence}" for subject, sequence in wanted]
    assert await reader.read() == 0


async def test_dossiers_do_not_wait_for_each_other() -> None:
    """While one dossier's event hangs, others are handled; its own later events wait behind it."""
    reader = Reader()
    gate = reader.desk.waits_for["d1:2:1"] = asyncio.Event()
    await reader.send(("d1:2", 1), ("d1:2", 2), ("d2:2", 1), ("d3:2", 1))
    reading = asyncio.create_task(reader.read())
    async with asyncio.timeout(5):
        while len(reader.desk.handled) < 2:  # noqa: ASYNC110 - several tasks bring it about
            await asyncio.sleep(0)
    assert sorted(reader.desk.handled) == ["d2:2:1", "d3:2:1"]
    gate.set()
    assert await reading == 4
    assert reader.desk.handled[2:] == ["d1:2:1", "d1:2:2"]


@pytest.mark.parametrize("error", [StorageUnavailable("away"), BrokerUnavailable("away")])
async def test_outages_are_waited_out_in_place(error: Exception) -> None:
    """As long as something outside is away the event is tried again, before its followers, and nothing is set aside."""
    reader = Reader()
    reader.desk.errors["d1:2:1"] = [error] * 12
    before = reader.environment.now()
    await reader.send(("d1:2", 1), ("d1:2", 2))
    await reader.read()
    assert reader.desk.handled == ["d1:2:1", "d1:2:2"]
    assert reader.broker.topic(DLQ) == []
    assert 20 < (reader.environment.now() - before).total_seconds() < 120


async def test_a_permanent_error_sets_the_dossier_aside() -> None:
    """A marker is set and the event lies in the dead-letter topic; followers join it, other dossiers go on."""
    reader = Reader()
    reader.desk.errors["d1:2:1"] = [Permanent("no request of ours")]
    await reader.send(("d1:2", 1), ("d1:2", 2), ("d2:2", 1), ("d1:7", 1))
    await reader.read()
    assert reader.desk.handled == ["d2:2:1"]
    assert reader.letters() == ["d1:2:1", "d1:2:2", "d1:7:1"]
    marker = await reader.markers.find(GROUP, "d1")
    assert marker is not None
    assert (marker["reason"], marker["event"], marker["waiting"]) == ("no request of ours", "d1:2:1", 3)


async def test_a_letter_tells_origin_and_reason_but_no_value() -> None:
    """Letters are the record as it was, with where it came from and why; foreign exceptions are named by type."""
    reader = Reader()
    reader.desk.broken.add("d1:2:1")
    await reader.send(("d1:2", 1))
    await reader.read()
    (origin,), (letter,) = reader.broker.topic(IDENTITY_EVENTS), reader.broker.topic(DLQ)
    notes = dict(letter.headers)
    assert (letter.key, letter.value) == (origin.key, origin.value)
    assert notes["dlq_reason"] == b"ValueError"
    assert notes["dlq_origin"] == f"{IDENTITY_EVENTS}/{origin.partition}/{origin.offset}".encode()
    assert set(dict(origin.headers).items()) <= set(notes.items())
    assert "Muster" not in str(await reader.markers.list(GROUP)) + str(letter)


async def test_marker_and_letter_come_before_the_commit() -> None:
    """A crash right before the commit loses nothing: whoever takes over finds the marker and sets aside again."""
    reader = Reader()
    reader.desk.broken.add("d1:2:1")
    await reader.send(("d1:2", 1), ("d1:2", 2))
    await reader.read(commit=False)
    assert reader.letters() == ["d1:2:1", "d1:2:2"]
    other = reader.another()
    await other.read()
    assert other.desk.handled == []
    assert other.letters() == ["d1:2:1", "d1:2:2"] * 2


async def test_letters_wait_for_an_absent_broker_and_store() -> None:
    """Without marker and acknowledged letter the event is not let go."""
    reader = Reader()
    reader.desk.broken.add("d1:2:1")
    await reader.send(("d1:2", 1))
    reader.broker.away = reader.markers.away = True
    reading = asyncio.create_task(reader.read())
    for _ in range(50):
        await asyncio.sleep(0)
    reader.markers.away = False
    for _ in range(50):
        await asyncio.sleep(0)
    assert await reader.markers.marked(GROUP, "d1")
    assert not reading.done()
    reader.broker.away = False
    await asyncio.wait_for(reading, 5)
    assert reader.letters() == ["d1:2:1"]


async def test_followers_are_set_aside_by_whoever_takes_over() -> None:
    """Markers are loaded on assignment."""
    reader = Reader()
    reader.desk.broken.add("d1:2:1")
    await reader.send(("d1:2", 1))
    await reader.read()
    other = reader.another()
    await other.dispatcher.load_markers()
    await other.send(("d1:2", 2), ("d2:2", 1))
    await other.read()
    assert other.desk.handled == ["d2:2:1"]
    assert other.letters() == ["d1:2:1", "d1:2:2"]


async def test_records_do_not_overtake_the_loading_of_markers() -> None:
    """Records that arrive before the markers of an assignment are read wait for them (the database was away)."""
    reader = Reader()
    await reader.markers.mark(GROUP, "d1", "reason", "d1:2:1", "2026-11-02T07:30:00.000Z")
    reader.markers.away = True
    loading = asyncio.create_task(reader.dispatcher.load_markers())
    await reader.send(("d1:2", 2))
    reading = asyncio.create_task(reader.read())
    for _ in range(20):
        await asyncio.sleep(0)
    assert reader.desk.handled == []
    reader.markers.away = False
    await asyncio.wait_for(asyncio.gather(loading, reading), 5)
    assert reader.desk.handled == []
    assert reader.letters() == ["d1:2:2"]


async def test_a_marker_set_while_markers_are_loaded_is_kept() -> None:
    """A rebalance in the middle of a failure does not forget the marker just set."""
    reader = Reader()
    known = reader.markers.keys
    gate, asked = asyncio.Event(), asyncio.Event()

    async def slow(group: str) -> set[str]:
        found = await known(group)
        asked.set()
        await gate.wait()
        return found

    await reader.dispatcher.load_markers()
    reader.markers.keys = slow  # type: ignore[method-assign]
    gate_of_event = reader.desk.waits_for["d1:2:1"] = asyncio.Event()
    reader.desk.broken.add("d1:2:1")
    await reader.send(("d1:2", 1))
    reading = asyncio.create_task(reader.read())
    for _ in range(20):
        await asyncio.sleep(0)
    loading = asyncio.create_task(reader.dispatcher.load_markers())
    await asked.wait()
    gate_of_event.set()
    await reading
    gate.set()
    await loading
    await reader.send(("d1:2", 2))
    await reader.read()
    assert reader.desk.handled == []


async def test_what_nobody_subscribed_to_is_skipped() -> None:
    """Types unknown to this release and types without a handler pass, also for a dossier that is set aside."""
    reader = Reader()
    unknown = raw({"ce_type": b"org.dossierbus.identity.dreamt.v1"})
    await reader.put(unknown, record_of("d1", 1, UNSUBSCRIBED, IDENTITY_EVENTS), record_of("d1:2", 1, noted(1)))
    await reader.read()
    assert reader.desk.handled == ["d1:2:1"]
    assert reader.broker.topic(DLQ) == []


MALFORMED = {
    "not JSON": raw({}, b"{"),
    "no value": raw({}, None),
    "another shape": raw({}, b'{"step": 7}'),
    "too large": raw({}, b'"' + b"x" * 1_000_001 + b'"'),
    "no type": raw({"ce_type": None}),
    "no id": raw({"ce_id": None}),
    "no key": raw({}, key=None),
    "another key": raw({}, key=b"d2"),
    "zero sequence": raw({"ce_sequence": b"0"}),
    "negative sequence": raw({"ce_sequence": b"-1"}),
    "endless sequence": raw({"ce_sequence": b"9" * 5000}),
    "sequence beyond the database": raw({"ce_sequence": b"9" * 20}),
    "other digits": raw({"ce_sequence": "٣".encode()}),
    "field path as subject": raw({"ce_subject": b"d1.$x"}),
    "another version": raw({"ce_specversion": b"0.3"}),
    "not UTF-8": raw({"ce_subject": b"\xff\xfe", "ce_sequence": b"\xff"}),
    "valueless header": Message(IDENTITY_EVENTS, b"d1", b"{}", [("ce_type", None)]),  # type: ignore[list-item]
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_records_are_dead_lettered(name: str) -> None:
    """Each is set aside alone, with a reason; the dossier whose key it bears goes on."""
    reader = Reader()
    await reader.put(MALFORMED[name])
    await reader.send(("d1:2", 1))
    await reader.read()
    (letter,) = reader.broker.topic(DLQ)
    assert dict(letter.headers)["dlq_reason"]
    assert reader.desk.handled == ["d1:2:1"]
    assert await reader.markers.list(GROUP) == []


async def test_a_letter_always_fits() -> None:
    """A record as large as the broker takes would not fit with its notes: the letter names its origin instead."""
    reader = Reader()
    await reader.put(raw({"foreign": b"x" * LARGEST_LETTER_BYTES}, b"x" * 100_000))
    await reader.read()
    (letter,) = reader.broker.topic(DLQ)
    assert letter.value is None
    assert sum(len(content) for _, content in letter.headers) < 1000


HEADERS = st.dictionaries(
    st.sampled_from([f"ce_{name}" for name in ("type", "id", "source", "subject", "sequence", "specversion", "time")]),
    st.binary(max_size=20) | st.none(),
)


@settings(max_examples=200, deadline=None)
@given(HEADERS, st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=5))
def test_decoding_never_raises_anything_else(
    headers: dict[str, bytes | None], value: bytes | None, key: bytes | None
) -> None:
    """Whatever lies on a topic is decoded, skipped or `Undecodable`: nothing stops the partition."""
    good = dict(record_of("d1", 1, CONFIRMED).headers)
    record = Message(IDENTITY_EVENTS, key, value, list({**good, **headers}.items()))  # type: ignore[arg-type]
    try:
        decode(record)
    except Undecodable as error:
        assert str(error)  # noqa: PT017 - raising is allowed, not required
