"""The operators' command against real MongoDB and Kafka: verify, replay, dead letters listed and redriven."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from services import cli
from services.identity.domain import CHECK, open_check
from shared.consumer import Dispatcher, Handler
from shared.contracts.dossier import IdentityCheckRequested
from shared.contracts.envelope import Received
from shared.contracts.event import Event
from shared.contracts.identity import IdentityConfirmed
from shared.contracts.topics import dead_letter_topic
from shared.environment import SystemEnvironment
from shared.errors import Permanent
from shared.journal import Journal
from shared.journal.model import NOTHING_PUBLISHED, Filling, Watermark
from shared.kafka.client import KafkaPublisher
from shared.kafka.reader import consume
from shared.store.journals import MongoJournalStore, open_journals
from shared.store.mongo import Database
from shared.store.small import MongoInstallation, MongoMarkers
from tests.integration.conftest import KEY, Kafka, Mongo
from tests.unit.consumer_office import raw
from tests.unit.sample_journal import CONFIRMED, command, record_of

REQUEST = IdentityCheckRequested(step="identity", register_name="residents", person="sealed:v1:person:AAAA")
GROUP = "payments"


@pytest.fixture
async def database(mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The service's database; the command finds it by its settings."""
    database = await mongo.database()
    settings = {
        "MONGODB_URI": mongo.uri(database.name),
        "JOURNAL_KEY": KEY,
        "HASH_KEY": KEY,
        "OIDC_ISSUER": "https://login.example",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return database


@pytest.fixture
async def checks(database: Database) -> MongoJournalStore:
    """Two identity checks, both published."""
    store = await open_journals(database, "checks")
    journal = Journal(CHECK, store, SystemEnvironment(), tenant="emmen", key=base64.b64decode(KEY))
    for number in range(2):
        opened = open_check(REQUEST, timedelta(hours=1))
        await journal.record(f"d{number}:1", opened, command("k"), creates=True)
        await store.mark_published(f"d{number}:1", NOTHING_PUBLISHED, 1)
    return store


async def run(*arguments: str) -> int:
    """Run the command as a process would, on a loop of its own."""
    return await asyncio.to_thread(cli.main, arguments)


async def test_verify_finds_journals_whole(checks: MongoJournalStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and how much was checked."""
    assert await run("verify", "--service", "identity") == 0
    assert "identity checks: 2 journals, 2 events\n" in (said := capsys.readouterr().out)
    assert said.endswith("identity: whole\n")


async def test_verify_tells_what_is_broken(checks: MongoJournalStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the journal's id and the rule, no value of any event."""
    await checks._journals.update_one({"_id": "d1:1"}, {"$set": {"events.0.data.person": "sealed:v1:person:ZZZZ"}})
    assert await run("verify", "--service", "identity") == 1
    said = capsys.readouterr().out
    assert "d1:1: chain: event 1" in said
    assert "d1:1: state:" in said
    assert "d0:1" not in said
    assert "ZZZZ" not in said


async def test_replay_marks_everything_as_unpublished(checks: MongoJournalStore, database: Database) -> None:
    """The sweeper of a running worker does the rest."""
    installation = MongoInstallation(database)
    await installation.remember(Filling("c1", 0))
    assert await run("replay", "--service", "identity") == 0
    assert await installation.filling() == Filling("c1", 1)
    heads = [await checks.load(f"d{number}:1") for number in range(2)]
    assert [(head.published, head.pending) for head in heads if head] == [(Watermark(1, 0), True)] * 2


async def test_an_absent_database_is_said(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and a sentence, no traceback."""
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/identity")
    assert await run("verify", "--service", "identity") == 1
    assert capsys.readouterr().err.startswith("Not possible now: StorageUnavailable")


class Member:
    """A running member of the group that refuses d1's first event as long as a test wants."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.refuses = True

    async def handle(self, received: Received) -> None:
        """Refuse or note."""
        if self.refuses and received.envelope.id == "d1:1":
            raise Permanent("refused by the test")
        self.handled.append(received.envelope.id)


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    """The group; a test that leaves letters for good takes another one, since they lie in a topic of fixed name."""
    name: str = getattr(request, "param", GROUP)
    return name


@pytest.fixture
async def topic(database: Database, kafka: Kafka, group: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh topic, and the group's dead-letter topic."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.stack.bootstrap)
    await kafka.topic(dead_letter_topic(group))
    return await kafka.topic()


@pytest.fixture
async def member(database: Database, kafka: Kafka, group: str, topic: str) -> AsyncIterator[Member]:
    """The group at work; two events of d1 are set aside, a record nobody could read too."""
    member, publisher, markers = Member(), KafkaPublisher(kafka.settings()), MongoMarkers(database)
    await publisher.connect()
    handlers: dict[type[Event], Handler] = {IdentityConfirmed: member.handle}
    dispatcher = Dispatcher(group, handlers, markers, publisher, SystemEnvironment())
    reading = asyncio.create_task(consume(kafka.settings(), [topic], dispatcher))
    records = [record_of(subject, number, CONFIRMED, topic) for subject, number in (("d1", 1), ("d1", 2), ("d3", 1))]
    await publisher.publish([*records, replace(raw({"ce_id": None}, key=b"d2"), topic=topic)])
    async with asyncio.timeout(60):
        while not (member.handled and await _waiting(markers, group) == 2):  # noqa: ASYNC110 - the group brings it about
            await asyncio.sleep(0.05)
    yield member
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    await publisher.close()


async def _waiting(markers: MongoMarkers, group: str) -> int:
    marker = await markers.find(group, "d1")
    return int(marker["waiting"]) if marker else 0


async def test_dead_letters_are_listed_and_redriven(
    member: Member, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list names dossier, count, first event and reason; a redrive that fails again says so and keeps the marker;
    once the cause is mended it handles the letters in order and the marker goes, and there is nothing to redrive."""
    assert await run("dlq", "list", "--group", GROUP) == 0
    said = capsys.readouterr().out
    assert "d1: 2 letters since" in said
    assert "tried once, failed d1:1: refused by the test" in said
    assert f"{GROUP}: 1 dossiers set aside, 1 unreadable records" in said
    assert await run("dlq", "show", "--group", GROUP, "--key", "d1") == 0
    said = capsys.readouterr().out
    assert "failed 1. d1:1 org.dossierbus.identity.confirmed.v1" in said
    assert "waits  2. d1:2 org.dossierbus.identity.confirmed.v1" in said
    assert await run("dlq", "redrive", "--group", GROUP, "--key", "d1") == 1
    assert "failed_again" in capsys.readouterr().out
    assert await run("dlq", "redrive", "--group", GROUP, "--reason", "refused", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "tried 2 times" in said
    assert "1 dossiers would be redriven in this order; nothing was done" in said
    member.refuses = False
    assert await run("dlq", "redrive", "--group", GROUP) == 0
    assert f"{GROUP}: 1 of 1 dossiers handled" in capsys.readouterr().out
    assert list(dict.fromkeys(member.handled)) == ["d3:1", "d1:1", "d1:2"]
    assert await MongoMarkers(database).list(GROUP) == []
    assert await run("dlq", "redrive", "--group", GROUP, "--key", "d9") == 0
    assert capsys.readouterr().out == f"{GROUP}: nothing to redrive\n"
    assert await run("dlq", "log", "--group", GROUP) == 0
    assert f"{GROUP} nothing to redrive" in (said := capsys.readouterr().out)
    assert "not ended" not in said


@pytest.mark.parametrize("group", ["notifications"], indirect=True)
async def test_a_discarded_letter_lets_those_behind_go_on(
    member: Member, database: Database, group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is never handled, its reason and who discarded it are kept; what is not held cannot be discarded."""
    discard = ("dlq", "discard", "--group", group, "--key", "d1", "--reason", "forged", "--as", "olga")
    assert await run(*discard, "--event", "d1:9") == 1
    assert f"{group} holds no letter d1:9." in capsys.readouterr().out
    assert await run(*discard, "--event", "d1:1") == 0
    assert list(dict.fromkeys(member.handled)) == ["d3:1", "d1:2"]
    assert await MongoMarkers(database).list(group) == []
    assert await run("dlq", "log", "--group", group) == 0
    assert "cli:olga: discard" in (said := capsys.readouterr().out)
    assert "forged: d1 handled" in said


@pytest.mark.parametrize("line", ["", "verify", "verify --service analytics", "dlq", "dlq list", "dlq list --group x"])
def test_a_wrong_call_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and what is expected."""
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 2
    assert "usage: dossierbus" in capsys.readouterr().err
