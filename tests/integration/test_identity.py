"""Identity against the sandbox register over HTTP: outcomes, and a register that misbehaves."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from deploy.local.sandbox.register import RegisterSettings, create_app
from deploy.local.sandbox.testing import free_port, serving
from services.identity.api import routes
from services.identity.domain import CHECK, CHECK_IDENTITY, EVIDENCE, FETCH_EVIDENCE, Check, Evidence
from services.identity.handlers import on_evidence_requested, on_identity_check_requested, on_step_cancelled
from services.identity.register import (
    Applicant,
    DebtEntries,
    HttpRegister,
    RegisterRefused,
    ResidenceRecord,
    open_register,
)
from services.identity.settings import IdentitySettings
from services.identity.work import evidence_fetcher, identity_checker
from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested, StepCancelled
from shared.contracts.envelope import Envelope, Received
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.errors import ProviderUnavailable
from shared.journal import Journal
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.store import MemoryJournalStore
from shared.testing.telemetry import recorded_logs
from shared.vault import MemoryKeyStore, Vault
from shared.web.app import create_app as create_web_app
from shared.work import WorkLoop

TOKEN = "register-test-token"
DOSSIER = "d1"
LEA = {"official_name": "Muster", "first_name": "Lea", "date_of_birth": "1990-05-17", "ahv": "756.9217.0769.85"}
PATIENCE = timedelta(hours=24)
PURPOSES = ("person", "evidence")
SETTINGS = IdentitySettings(
    mongodb_uri=SecretStr("mongodb://127.0.0.1/identity"),
    journal_key=b"j" * 32,
    hash_key=b"h" * 32,
    oidc_issuer="https://login.emmen.example",
    register_url="http://register.example",
    register_token=SecretStr(TOKEN),
)


class Town:
    """The service as it runs, on memory journals and a hand-moved clock, with the register given."""

    def __init__(self, register: HttpRegister) -> None:
        self.environment = FakeEnvironment()
        wrapping = {purpose: bytes([number]) * 32 for number, purpose in enumerate(PURPOSES, start=1)}
        self.vault = Vault(MemoryKeyStore(), wrapping, self.environment)
        self.checks: Journal[Check] = self._journal(CHECK)
        self.evidence: Journal[Evidence] = self._journal(EVIDENCE)
        self.loops: tuple[WorkLoop[Any], ...] = (
            WorkLoop(self.checks, {CHECK_IDENTITY: identity_checker(self.vault, register)}, self.environment),
            WorkLoop(self.evidence, {FETCH_EVIDENCE: evidence_fetcher(self.vault, register)}, self.environment),
        )
        self._sequence = 1

    def _journal(self, aggregate: Any) -> Journal[Any]:
        return Journal(aggregate, MemoryJournalStore(), self.environment, tenant="emmen", key=b"j" * 32)

    def received(self, event: Event, sequence: int | None = None) -> Received:
        """An event of the dossier as the consumer hands it over."""
        self._sequence += 1
        number = sequence or self._sequence
        now = timestamp(self.environment.now())
        source = "//dossierbus/emmen/intake"
        event_id = f"{DOSSIER}:{number}"
        return Received(Envelope(event_id, source, event.type, DOSSIER, number, now, "emmen", DOSSIER, "", ""), event)

    async def request_check(self, **changes: Any) -> str:
        """Ask for a check of Lea, with other attributes where given (None leaves one out)."""
        values = {name: value for name, value in {**LEA, **changes}.items() if value is not None}
        person = (await self.vault.create(DOSSIER, PURPOSES)).seal("person", "person", values)
        received = self.received(IdentityCheckRequested(step="identity", register_name="residents", person=person))
        await on_identity_check_requested(self.checks, PATIENCE)(received)
        return received.envelope.id

    async def request_evidence(self, claim: str, register_id: str = "1000000") -> str:
        """Ask for evidence about the person with this id of the register."""
        sealed = (await self.vault.create(DOSSIER, PURPOSES)).seal("person", "register_id", register_id)
        event = EvidenceRequested(
            step="evidence", claim=claim, purpose="p", legal_basis="SRL 6", consent="d1:1", register_id=sealed
        )
        received = self.received(event)
        await on_evidence_requested(self.evidence, PATIENCE)(received)
        return received.envelope.id

    async def work(self, after: timedelta = timedelta()) -> int:
        """Let time pass, do what is due, and return how much it was."""
        self.environment.advance(after)
        started = 0
        for loop in self.loops:
            started += await loop.start_due()
            await loop.settle()
        return started

    async def told(self, journal: Journal[Any], subject: str) -> list[Event]:
        """All events of an aggregate."""
        return [recorded.event for recorded in await journal.recorded(subject)]


@dataclass
class Sandbox:
    """A running register and its faults."""

    url: str

    def break_down(self, **faults: Any) -> None:
        """Misbehave from now on."""
        httpx.put(f"{self.url}/sandbox/faults", json=faults).raise_for_status()

    def recover(self) -> None:
        """Behave well again."""
        httpx.delete(f"{self.url}/sandbox/faults").raise_for_status()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One register for all tests of the module: it keeps no state but its faults."""
    port = free_port()
    data_dir: Path = tmp_path_factory.mktemp("register")
    with serving(create_app(RegisterSettings(data_dir=data_dir, http_port=port, register_token=TOKEN)), port) as url:
        yield Sandbox(url)


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The register, well behaved before and after each test."""
    running.recover()
    yield running
    running.recover()


@pytest.fixture
async def town(sandbox: Sandbox) -> AsyncIterator[Town]:
    """The service with the sandbox as its register."""
    async with open_register(sandbox.url, SecretStr(TOKEN)) as register:
        yield Town(register)


def words(events: list[Event]) -> list[str]:
    """The events by their words."""
    return [event.word for event in events]


async def test_known_person_is_confirmed(town: Town) -> None:
    """A person whom the register knows by AHV number is confirmed; the register's id is sealed for intake."""
    subject = await town.request_check(official_name="MUSTER")
    await town.work()
    events = await town.told(town.checks, subject)
    assert words(events) == ["identity_check_opened", "identity_confirmed"]
    sealed = events[1].model_dump()["register_id"]
    assert (await town.vault.open(DOSSIER)).unseal("register_id", sealed) == "1000000"
    assert await town.work(timedelta(days=2)) == 0


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"ahv": None}, None),
        ({"official_name": "Keller"}, ("official_name_differs",)),
        ({"first_name": "Mia", "date_of_birth": "1990-05-18"}, ("first_name_differs", "date_of_birth_differs")),
        ({"ahv": "756.1234.5678.97"}, ("not_found",)),
        ({"ahv": None, "date_of_birth": "1990-05-18"}, ("not_found",)),
        (
            {"ahv": None, "official_name": "Keller", "first_name": "Luca", "date_of_birth": "1985-03-14"},
            ("several_matches",),
        ),
    ],
)
async def test_what_the_register_contradicts_is_named(
    town: Town, changes: dict[str, Any], reasons: tuple[str, ...] | None
) -> None:
    """Reasons name the attributes that differ; by name only, the date of birth must find exactly one person."""
    subject = await town.request_check(**changes)
    await town.work()
    found = await town.checks.state(subject)
    assert found is not None
    assert found.state.outcome == ("confirmed" if reasons is None else "mismatched")
    assert found.state.reasons == (reasons or ())


async def test_residence_record_is_fetched(town: Town) -> None:
    """The residence record arrives as the register tells it, sealed, with the number of its filled values."""
    subject = await town.request_evidence("residence_record")
    await town.work()
    events = await town.told(town.evidence, subject)
    assert words(events) == ["evidence_fetch_opened", "evidence_fetched"]
    fetched = events[1].model_dump()
    assert (fetched["source"], fetched["fields"]) == ("residents_register", 19)
    record = (await town.vault.open(DOSSIER)).unseal("evidence", fetched["evidence"])
    assert isinstance(record, dict)
    assert record["address"] == {
        "street": "Lindenweg",
        "houseNumber": "7",
        "swissZipCode": 6020,
        "town": "Emmenbrücke",
        "country": "CH",
    }
    assert (record["since"], record["municipality"]["municipalityId"]) == ("2019-04-01", 1024)
    ResidenceRecord.model_validate(record)


async def test_debt_entries_are_fetched(town: Town) -> None:
    """Entries arrive in rappen; a clean register is an empty list, not missing evidence."""
    with_debts = await town.request_evidence("debt_entries", "1000001")
    without = await town.request_evidence("debt_entries", "1000000")
    await town.work()
    documents = []
    for subject in (with_debts, without):
        fetched = (await town.told(town.evidence, subject))[1].model_dump()
        assert fetched["source"] == "debt_register"
        document = (await town.vault.open(DOSSIER)).unseal("evidence", fetched["evidence"])
        documents.append(DebtEntries.model_validate(document))
    assert [entry.amount_rappen for entry in documents[0].entries] == [184_350, 96_000]
    assert documents[1].entries == ()


async def test_unknown_person_and_unknown_claim_end_visibly(town: Town) -> None:
    """A person the register does not know and a claim without a source both end as unavailable, with the reason."""
    missing = await town.request_evidence("residence_record", "999/../1000000")
    foreign = await town.request_evidence("tax_return")
    await town.work()
    assert (await town.told(town.evidence, missing))[1].model_dump()["reason"] == "not_found"
    assert (await town.told(town.evidence, foreign))[1].model_dump()["reason"] == "source_unavailable"


async def test_outage_delays_then_succeeds(town: Town, sandbox: Sandbox) -> None:
    """While the register answers 5xx nothing is lost: the delay is told once, then the check ends by itself."""
    sandbox.break_down(error_rate=1, status=503)
    subject = await town.request_check()
    await town.work()
    assert words(await town.told(town.checks, subject)) == ["identity_check_opened"]
    await town.work(timedelta(minutes=6))
    await town.work(timedelta(minutes=6))
    sandbox.recover()
    await town.work(timedelta(minutes=8))
    events = await town.told(town.checks, subject)
    assert words(events) == ["identity_check_opened", "identity_check_delayed", "identity_confirmed"]
    assert events[1].model_dump()["attempts"] == 2


async def test_lost_answers_are_asked_again(town: Town, sandbox: Sandbox) -> None:
    """An answer cut off in the middle is an outage, never half a record."""
    sandbox.break_down(lose_answers=1)
    subject = await town.request_evidence("residence_record")
    await town.work()
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert words(await town.told(town.evidence, subject)) == ["evidence_fetch_opened", "evidence_fetched"]


async def test_outage_of_a_day_ends_visibly(town: Town, sandbox: Sandbox) -> None:
    """After 24 hours a check fails and evidence is unavailable, so that a person can step in; later news are void."""
    sandbox.break_down(error_rate=1, status=500)
    check, fetch = await town.request_check(), await town.request_evidence("debt_entries")
    await town.work()
    await town.work(timedelta(hours=23))
    sandbox.recover()
    await town.work(timedelta(hours=2))
    checked, fetched = await town.told(town.checks, check), await town.told(town.evidence, fetch)
    assert words(checked) == ["identity_check_opened", "identity_check_delayed", "identity_check_failed"]
    assert checked[-1].model_dump()["reason"] == "register_unavailable"
    assert words(fetched) == ["evidence_fetch_opened", "evidence_delayed", "evidence_unavailable"]
    assert fetched[-1].model_dump()["reason"] == "source_unavailable"
    assert await town.work(timedelta(days=3)) == 0


async def test_hanging_register_is_an_outage(sandbox: Sandbox) -> None:
    """A register that takes the request and never answers is given up in time."""
    sandbox.break_down(hang_seconds=0.5)
    async with open_register(sandbox.url, SecretStr(TOKEN)) as register:
        impatient = HttpRegister(register._http, total_seconds=0.1)
        with pytest.raises(ProviderUnavailable):
            await impatient.search(Applicant.model_validate(LEA))


async def test_register_that_is_not_there_is_an_outage() -> None:
    """A refused connection waits like every outage."""
    async with open_register(f"http://127.0.0.1:{free_port()}", SecretStr(TOKEN)) as register:
        with pytest.raises(ProviderUnavailable):
            await register.residence("1000000")


async def test_wrong_token_loses_nothing_and_alarms(sandbox: Sandbox) -> None:
    """With a token the register refuses, work waits, and an error is logged for the operator without any name."""
    async with open_register(sandbox.url, SecretStr("not-the-token")) as register:
        town = Town(register)
        with recorded_logs() as lines:
            subject = await town.request_check()
            await town.work()
    assert words(await town.told(town.checks, subject)) == ["identity_check_opened"]
    alarms = [line for line in lines if line["event"] == "register_refuses_our_token"]
    assert [line["level"] for line in alarms] == ["ERROR"]
    assert "Muster" not in str(lines)
    assert "7569217076985" not in str(lines).replace(".", "")


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"matches": [{"localPersonId": "1"}]}'])
async def test_unreadable_answer_is_an_outage(body: bytes) -> None:
    """What does not have the agreed shape is never taken for an answer."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=body))
    register = HttpRegister(httpx.AsyncClient(base_url="http://register.example", transport=transport))
    with pytest.raises(ProviderUnavailable):
        await register.search(Applicant.model_validate(LEA))


@pytest.mark.parametrize(
    ("status", "error"),
    [(302, ProviderUnavailable), (404, ProviderUnavailable), (429, ProviderUnavailable), (422, RegisterRefused)],
)
async def test_statuses_of_a_search(status: int, error: type[Exception]) -> None:
    """A search that does not exist or is held back waits; one that the register cannot accept does not."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(status))
    register = HttpRegister(httpx.AsyncClient(base_url="http://register.example", transport=transport))
    with pytest.raises(error):
        await register.search(Applicant.model_validate(LEA))


async def test_refused_question_fails_the_check(town: Town) -> None:
    """Personal values that the register cannot accept end the check visibly, and no value gets into the logs."""
    with recorded_logs() as lines:
        subject = await town.request_check(ahv=None, date_of_birth="17. Mai 1990")
        await town.work()
    events = await town.told(town.checks, subject)
    assert words(events)[1:] == ["identity_check_failed"]
    assert events[1].model_dump()["reason"] == "failed"
    assert "Mai 1990" not in str(lines)


async def test_erased_person_ends_visibly(town: Town) -> None:
    """A person erased before the register was asked ends both kinds with the reason erased, without a crash."""
    check, fetch = await town.request_check(), await town.request_evidence("residence_record")
    await town.vault.erase(DOSSIER)
    await town.work()
    assert (await town.told(town.checks, check))[1].model_dump()["reason"] == "erased"
    assert (await town.told(town.evidence, fetch))[1].model_dump()["reason"] == "erased"


async def test_cancelled_request_asks_nobody(town: Town) -> None:
    """A cancelled check stays cancelled, its work does nothing, and the other kind's cancellations are none of ours."""
    subject = await town.request_check()
    other = StepCancelled(step="identity", kind="evidence", request=subject)
    await on_step_cancelled(town.checks, "identity")(town.received(other))
    assert words(await town.told(town.checks, subject)) == ["identity_check_opened"]
    cancelled = town.received(StepCancelled(step="identity", kind="identity", request=subject))
    await on_step_cancelled(town.checks, "identity")(cancelled)
    await on_step_cancelled(town.checks, "identity")(cancelled)
    await town.work()
    assert words(await town.told(town.checks, subject)) == ["identity_check_opened", "identity_check_cancelled"]
    assert await town.work(timedelta(days=2)) == 0


async def test_cancellation_may_come_first(town: Town) -> None:
    """A request that arrives after its own cancellation opens nothing."""
    event = EvidenceRequested(
        step="evidence",
        claim="debt_entries",
        purpose="p",
        legal_basis="b",
        consent="d1:1",
        register_id="sealed:v1:person:AAAA",
    )
    cancelled = StepCancelled(step="evidence", kind="evidence", request="d1:5")
    await on_step_cancelled(town.evidence, "evidence")(town.received(cancelled, 7))
    await on_evidence_requested(town.evidence, PATIENCE)(town.received(event, 5))
    assert words(await town.told(town.evidence, "d1:5")) == ["evidence_fetch_cancelled"]
    assert await town.work(timedelta(days=2)) == 0


async def test_repeated_request_is_one_check(town: Town) -> None:
    """The same event twice opens one check and asks the register once."""
    person = (await town.vault.create(DOSSIER, PURPOSES)).seal("person", "person", LEA)
    event = IdentityCheckRequested(step="identity", register_name="residents", person=person)
    received = town.received(event)
    for _ in range(2):
        await on_identity_check_requested(town.checks, PATIENCE)(received)
    assert await town.work() == 1
    assert len(await town.told(town.checks, received.envelope.id)) == 2


async def test_staff_see_states_without_values(town: Town) -> None:
    """Operators and case workers see state and reasons; no name, no sealed value; nobody else sees anything."""
    check, fetch = await town.request_check(official_name="Keller"), await town.request_evidence("residence_record")
    await town.work()
    issuer = FakeIssuer(town.environment)
    app = create_web_app("Identity api", "identity", settings=SETTINGS, verifier=issuer.verifier())
    app.include_router(routes(town.checks, town.evidence))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://identity.example") as http:
        staff = {"Authorization": f"Bearer {issuer.token('k1', ['caseworker'])}"}
        citizen = {"Authorization": f"Bearer {issuer.token('lea', ['citizen'])}"}
        shown = [await http.get(f"/v1/{path}", headers=staff) for path in (f"checks/{check}", f"evidence/{fetch}")]
        refused = await http.get(f"/v1/checks/{check}", headers=citizen)
        missing = [await http.get(f"/v1/{kind}/d9:9", headers=staff) for kind in ("checks", "evidence")]
        unreadable = await http.get("/v1/checks/..%2F", headers=staff)
    assert [response.status_code for response in shown] == [200, 200]
    assert shown[0].json()["state"] == "mismatched"
    assert shown[0].json()["reasons"] == ["official_name_differs"]
    assert (shown[1].json()["state"], shown[1].json()["dossier"]) == ("fetched", DOSSIER)
    assert "sealed" not in shown[0].text + shown[1].text
    assert (refused.status_code, unreadable.status_code) == (403, 404)
    assert [response.status_code for response in missing] == [404, 404]
