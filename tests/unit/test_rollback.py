"""After a rollback: what a newer release stored is left alone, said clearly, and waits for that release."""

from httpx import ASGITransport, AsyncClient

from services.analytics.domain import NOTHING, Record, contribution, merge
from shared.errors import NewerRelease
from shared.journal import Recorded
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.store import MemoryJournalStore
from tests.unit.consumer_office import DLQ, Reader
from tests.unit.sample_app import OPEN, application
from tests.unit.sample_journal import NOW, OPENED, TALLY, add, command, journal_of

DREAMT = {"type": "org.dossierbus.identity.dreamt.v1", "seq": 1, "time": NOW, "data": {}}


async def test_a_state_of_another_schema_is_folded_anew() -> None:
    """Forwards and back: the state is what this release makes of the events, whichever release stored it last."""
    store = MemoryJournalStore()
    journal = journal_of(store)
    before = await journal.record("d1", add(OPENED), command("k"), creates=True)
    for schema in (TALLY.schema - 1, TALLY.schema + 1):
        store.documents["d1"].update(schema=schema, state={"unheard": "of"})
        found = await journal.state("d1")
        assert found is not None
        assert found.state == before.state


def test_fields_of_a_newer_release_are_left_out() -> None:
    """An event with a field more is read; the stored event keeps it for the newer release."""
    stored = {**DREAMT, "type": OPENED.type, "data": {**OPENED.model_dump(mode="json"), "mood": "well"}}
    assert Recorded.load("d1", stored).event == OPENED


async def test_events_that_need_a_newer_release_set_the_dossier_aside() -> None:
    """A handler that meets an unknown event in a journal has its dossier wait for a redrive; others go on."""
    reader = Reader()
    reader.desk.errors["d1:2:1"] = [NewerRelease("unknown type")]
    await reader.send(("d1:2", 1), ("d2:2", 1))
    await reader.read()
    assert reader.desk.handled == ["d2:2:1"]
    assert len(reader.broker.topic(DLQ)) == 1


def test_records_of_a_newer_release_are_kept_and_not_counted() -> None:
    """A part of an unknown kind adds nothing here, and is still there for the release that counts it."""
    record: Record = {":9": {"n": 1, "k": "q", "mood": "well"}}
    assert contribution(record) == {}
    assert merge(NOTHING, record) == record


async def test_a_caller_is_told_to_come_back() -> None:
    """503 with a long Retry-After, not 500: the request is in order, and the release that can answer it will return."""
    app = application(FakeIssuer(FakeEnvironment()))

    @app.get("/v1/newer", dependencies=OPEN)
    async def newer() -> None:
        raise NewerRelease("unknown type")

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/v1/newer")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "300")
