"""Notifications against the sandbox mail server over SMTP: what becomes of messages."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.notifications.api import routes
from services.notifications.handlers import on_dossier_status_changed
from services.notifications.mail import message_id
from shared.contracts.dossier import DossierStatusChanged
from shared.testing.issuer import FakeIssuer
from shared.testing.telemetry import recorded_logs
from shared.testing.web import KEY, connected, settings
from shared.web.app import create_app as create_web_app
from tests.integration.notifications_town import LEA, USEFUL, Sandbox, Town, running_mail_server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One mail server for all tests of the module."""
    with running_mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The mail server, empty and well behaved before each test and well behaved after it."""
    running.reset()
    yield running
    running.recover()


@pytest.fixture
def town(sandbox: Sandbox) -> Town:
    """The service with the sandbox as its mail server."""
    return Town(sandbox.smtp_port)


async def test_each_status_is_mailed_once(town: Town, sandbox: Sandbox) -> None:
    """A status reaches the applicant's mailbox once, in the dossier's language, with link and stable Message-ID."""
    message = await town.tell(language="fr")
    await town.tell(language="fr")
    await town.work()
    (mail,) = sandbox.mails()
    assert (mail["sender"], mail["language"]) == ("counter@emmen.example", "fr")
    assert mail["message_id"] == message_id(message, "emmen.example")
    assert mail["text"].startswith("Bonjour Lea Muster,")
    assert "http://127.0.0.1:8100/?dossier=d1" in mail["text"]
    assert await town.told(message) == [("message_sent", 1)]
    assert await town.work(timedelta(days=3)) == 0


async def test_refusal_for_good_fails_visibly(town: Town, sandbox: Sandbox) -> None:
    """A 5xx at RCPT or after DATA ends the message with its code; it is not tried again."""
    sandbox.break_down(reject_recipients="gone@*")
    gone = await town.tell("d1", email="gone@example.ch")
    await town.work()
    sandbox.break_down(error_rate=1, status=554)
    refused = await town.tell("d2")
    await town.work()
    assert await town.told(gone) == [("message_failed", "smtp_550")]
    assert await town.told(refused) == [("message_failed", "smtp_554")]
    assert await town.work(timedelta(days=1)) == 0


async def test_history_is_not_mailed(town: Town, sandbox: Sandbox) -> None:
    """A status read for the first time days later, by a new group or after a refill, is suppressed at once."""
    contact = (await town.vault.create("d1", ["contact"])).seal("contact", "contact", {"email": LEA, "name": "Lea"})
    event = DossierStatusChanged(code="completed", waiting_for="nobody", service="dog", language="de", contact=contact)
    old = town.received(event, "d1", 2)
    town.environment.advance(timedelta(days=3))
    await on_dossier_status_changed(town.messages, USEFUL)(old)
    assert await town.work() == 0
    assert await town.told("d1:2") == [("message_suppressed", "too_old")]
    assert sandbox.mails() == []


async def test_erased_applicant_gets_no_mail(town: Town, sandbox: Sandbox) -> None:
    """A person erased before the mail was sent is not written to."""
    message = await town.tell()
    await town.vault.erase("d1")
    await town.work()
    assert await town.told(message) == [("message_suppressed", "erased")]
    assert sandbox.mails() == []


@pytest.mark.parametrize("address", ["lea", "lea@example.ch\r\nBcc: noah.beispiel@example.ch"])
async def test_what_is_no_address_fails_visibly(town: Town, sandbox: Sandbox, address: str) -> None:
    """No mail goes anywhere for an address that is none, and the address is not logged."""
    with recorded_logs() as lines:
        message = await town.tell(email=address)
        await town.work()
    assert await town.told(message) == [("message_failed", "address_invalid")]
    assert sandbox.count() == 0
    assert "noah" not in str(lines)


async def test_staff_see_messages_without_addresses(town: Town) -> None:
    """Staff list a dossier's messages in order, page by page, without address, name, text or sealed value."""
    for sequence in (2, 10, 11):
        await town.tell(sequence=sequence)
    await town.tell("d10")
    await town.work()
    issuer = FakeIssuer(town.environment)
    app = create_web_app("Notifications api", "notifications", settings=settings(), verifier=issuer.verifier())
    app.include_router(routes(town.messages, KEY))
    async with connected(app) as http:
        http.headers["Authorization"] = f"Bearer {issuer.token('k1', ['operator'])}"
        first = await http.get("/v1/messages", params={"dossier": "d1", "limit": 2})
        cursor = first.json()["next"]
        second = await http.get("/v1/messages", params={"dossier": "d1", "limit": 2, "cursor": cursor})
        foreign = await http.get("/v1/messages", params={"dossier": "d10", "cursor": cursor})
        one, none = await http.get("/v1/messages/d1:10"), await http.get("/v1/messages/d1:99")
        citizen = {"Authorization": f"Bearer {issuer.token('lea', ['citizen'])}"}
        refused = [await http.get(path, headers=citizen) for path in ("/v1/messages?dossier=d1", "/v1/messages/d1:2")]
    assert [item["id"] for item in first.json()["items"]] == ["d1:2", "d1:10"]
    assert ([item["id"] for item in second.json()["items"]], second.json()["next"]) == (["d1:11"], None)
    assert (one.json()["state"], one.json()["attempts"], one.json()["dossier"]) == ("sent", 1, "d1")
    assert [response.status_code for response in (foreign, none, *refused)] == [400, 404, 403, 403]
    assert not [word for word in ("sealed", "example.ch", "Muster") if word in first.text + one.text]
