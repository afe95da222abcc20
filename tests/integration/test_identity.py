"""Identity against the sandbox register over HTTP: what becomes of checks and evidence."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.identity.api import routes
from services.identity.handlers import on_evidence_requested, on_identity_check_requested, on_step_cancelled
from services.identity.register import (
    DebtEntries,
    ResidenceRecord,
    open_register,
)
from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested, StepCancelled
from shared.testing.issuer import FakeIssuer
from shared.web.app import create_app as create_web_app
from tests.integration.identity_town import (
    DOSSIER,
    LEA,
    PATIENCE,
    PURPOSES,
    SETTINGS,
    TOKEN,
    Sandbox,
    Town,
    running_register,
    words,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One register for all tests of the module."""
    with running_register(tmp_path_factory.mktemp("register")) as register:
        yield register


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
    assert (fetched["source"], fetched["fields"]) == ("residents_register", 22)
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
