"""A dossier whose municipal service has left the catalogue: still shown, nothing decided, nothing lost."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from services.intake import domain
from services.intake.api import actions, dossiers, downloads
from services.intake.api.counter import Counter
from services.intake.api.live import _news
from services.intake.delays import Delays
from services.intake.domain import dossier_aggregate
from services.intake.settings import IntakeSettings
from services.intake.state import Dossier
from services.intake.work import Desk as Work
from services.intake.work import performers
from shared.contracts.dossier import DossierClosed
from shared.errors import Permanent
from shared.journal import Journal
from shared.journal.model import Head
from shared.testing.issuer import FakeIssuer
from shared.testing.store import MemoryJournalStore
from shared.testing.web import connected, problem
from shared.testing.web import settings as common
from shared.web.app import create_app
from shared.work import LEASE, WorkLoop
from tests.unit.intake_desk import CATALOGUE, DOSSIER, Desk

NONE = cast("Any", None)


class Listed(MemoryJournalStore):
    """Journals in memory with the one list that a test asks for."""

    async def find(self, *_query: object, **_options: object) -> list[Head]:
        """Return everything."""
        return [head for subject in await self.subjects() if (head := await self.load(subject))]


class Me:
    """Everybody is the applicant."""

    async def applicant(self, _subject: str) -> str:
        """Return the token that the desk's dossiers have."""
        return "someone"


class Left:
    """A town that took its services out of the catalogue while a dossier was on its way; `kept` are still there."""

    def __init__(self) -> None:
        self.desk = Desk(store=Listed())
        self.kept: dict[tuple[str, int], Any] = {}
        self.environment = self.desk.environment
        aggregate = dossier_aggregate(self.kept, public_url="https://emmen.example", deadline_scale=1.0)
        self.journal: Journal[Dossier] = Journal(
            aggregate, self.desk.store, self.environment, tenant="emmen", key=b"k" * 32
        )
        self.settings = IntakeSettings.model_validate(common().model_dump())
        self.counter = Counter(
            dossiers=self.journal, store=cast("Any", self.desk.store), catalogue=self.kept, vault=NONE,
            people=cast("Any", Me()), files=NONE, tickets=NONE, ledger=NONE, environment=self.environment,
            settings=self.settings, delays=Delays(NONE, self.environment),
        )  # fmt: skip

    async def leave(self, *, confirmed: bool = True) -> None:
        """Hand a dossier in, confirm its applicant if wanted, then take the services away."""
        await self.desk.submit("residence-certificate")
        if confirmed:
            await self.desk.tell("identity", "confirmed", 1)
        self.desk.journal = self.journal

    def loop(self) -> WorkLoop[Dossier]:
        """A worker that reads the catalogue as it is."""
        work = Work(self.kept, NONE, NONE, self.environment, self.settings)
        return WorkLoop(self.journal, performers(work), self.environment)


@pytest.fixture
def left() -> Left:
    """A town without services."""
    return Left()


@pytest.fixture
async def client(left: Left) -> AsyncIterator[httpx.AsyncClient]:
    """The signed-in applicant."""
    issuer = FakeIssuer(left.environment)
    app = create_app("Test", "intake", settings=common(), verifier=issuer.verifier())
    for router in (dossiers, actions, downloads):
        app.include_router(router.routes(left.counter))
    async with connected(app) as http:
        http.headers.update({"Authorization": f"Bearer {issuer.token()}", "Accept-Language": "fr"})
        yield http


async def test_it_is_shown_without_what_only_the_catalogue_knows(left: Left, client: httpx.AsyncClient) -> None:
    """Alone and in the list: status and steps with their ids; no fee, and no action that nobody could follow."""
    await left.leave()
    one = await client.get(f"/v1/dossiers/{DOSSIER}")
    assert one.status_code == 200
    shown = one.json()
    assert (shown["title"], shown["payment"], shown["ending"]) == ("residence-certificate", None, None)
    assert (shown["status"]["code"], shown["status"]["next_action"]) == ("consent_needed", None)
    assert {(step["id"], step["title"], step["state"]) for step in shown["steps"]} == {
        ("identity", "identity", "done"), ("residence", "residence", "open"), ("fee", "fee", "open"),
    }  # fmt: skip
    assert (await client.get("/v1/dossiers")).json()["items"] == [shown]
    timeline = await client.get(f"/v1/dossiers/{DOSSIER}/timeline")
    assert [entry["event"] for entry in timeline.json()] == await left.desk.words()


async def test_its_stream_goes_on(left: Left) -> None:
    """The live status tells the same."""
    await left.leave()
    news = await _news(left.counter, DOSSIER, 0, "de")
    assert b"event: status" in news.text
    assert not news.ended


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "consents/residence", {"granted": True}),
        ("POST", "payments", {"method": "card"}),
        ("POST", "withdrawal", None),
        ("GET", "bill", None),
        ("GET", "evidence/residence", None),
    ],
)
async def test_what_needs_the_service_says_so(
    method: str, path: str, body: Any, left: Left, client: httpx.AsyncClient
) -> None:
    """409 in the caller's language with whom to ask, and nothing was saved."""
    await left.leave()
    before = await left.desk.words()
    answer = await client.request(
        method, f"/v1/dossiers/{DOSSIER}/{path}", json=body, headers={"Idempotency-Key": "key-0123456789"}
    )
    document = problem(answer, 409, "conflict")
    assert document["code"] == "service_missing"
    assert document["detail"].endswith("Veuillez vous adresser à la commune.")
    assert await left.desk.words() == before


async def test_what_others_tell_of_it_is_set_aside_by_name(left: Left) -> None:
    """A permanent error: one letter for each event, the reason names the service; redriven once it is back."""
    await left.leave(confirmed=False)
    before = await left.desk.words()
    with pytest.raises(Permanent, match=r"^the catalogue lacks residence-certificate version 1$"):
        await left.desk.tell("identity", "confirmed", 1)
    assert await left.desk.words() == before
    left.kept.update(CATALOGUE)
    after = await left.desk.tell("identity", "confirmed", 1)
    assert after.status == "consent_needed"


async def test_what_comes_after_its_end_is_recorded_all_the_same(left: Left) -> None:
    """Nothing follows for a dossier that has ended, so that its service is not missed."""
    await left.leave()
    ended = await left.desk.ask(lambda _dossier, _now: (DossierClosed(ending="withdrawn"),))
    assert ended.ending == "withdrawn"
    noticed = await left.desk.ask(domain.record_notice("m1", "sent"))
    assert noticed.messages == {"m1": "sent"}


async def test_a_deadline_that_no_longer_counts_waits_for_nothing(left: Left) -> None:
    """The status has moved on since: the timer rings in vain and is done, also without the service."""
    await left.desk.submit("residence-certificate")
    await left.desk.tell("identity", "confirmed", 1)
    (earlier,) = left.desk.store.documents[DOSSIER]["work"]
    service = CATALOGUE["residence-certificate", 1]
    await left.desk.ask(domain.answer_consent(lambda _: service, "residence", granted=True))
    left.desk.journal = left.journal
    assert earlier["id"] in {work["id"] for work in left.desk.store.documents[DOSSIER]["work"]}
    left.environment.advance(timedelta(days=40))
    loop = left.loop()
    await loop.start_due()
    await loop.settle()
    assert earlier["id"] not in {work["id"] for work in left.desk.store.documents[DOSSIER]["work"]}
    assert (await left.desk.dossier()).ending is None


async def test_its_work_waits_with_growing_pauses(left: Left) -> None:
    """Its deadline rings in vain, later and later, and once more when the service is back."""
    await left.leave()
    left.environment.advance(timedelta(days=40))
    for attempts in (1, 2, 3):
        loop = left.loop()
        assert await loop.start_due() == 1
        await loop.settle()
        (waiting,) = left.desk.store.documents[DOSSIER]["work"]
        assert waiting["attempts"] == attempts
        assert await loop.start_due() == 0
        left.environment.advance(LEASE)
    left.kept.update(CATALOGUE)
    last = left.loop()
    await last.start_due()
    await last.settle()
    assert (await left.desk.dossier()).ending == "expired"
