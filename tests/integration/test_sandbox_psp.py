"""The sandbox payment processor: sessions, payments, refunds and its page, through Stripe's own library."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import stripe

from tests.integration.sandbox_psp import Sandbox, running, stripe_client

# Stripe's library hands httpx its body in a way that httpx has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'.*:DeprecationWarning")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A processor with a webhook receiver, both on the loopback interface."""
    async with running(tmp_path) as started:
        yield started


async def test_session_keeps_what_it_was_given(sandbox: Sandbox) -> None:
    """A new session is open, unpaid, and returns amount, reference, metadata and addresses as given."""
    created = await sandbox.session()
    session = await sandbox.stripe.v1.checkout.sessions.retrieve_async(created.id)
    assert (session.status, session.payment_status, session.amount_total, session.currency) == (
        "open",
        "unpaid",
        4000,
        "chf",
    )
    assert session.client_reference_id == "payment-1"
    assert session.metadata is not None
    assert session.metadata["dossier"] == "dossier-1"
    assert session.cancel_url == "http://127.0.0.1:9/cancelled"
    assert session.payment_method_types == ["card", "twint"]
    assert 0 < session.expires_at - time.time() <= 24 * 3600


async def test_same_key_same_body_is_the_same_session(sandbox: Sandbox) -> None:
    """A repeat under one Idempotency-Key opens nothing new and gets the first answer."""
    first, second = await sandbox.session(key="k1"), await sandbox.session(key="k1")
    assert first.id == second.id
    assert len(sandbox.control.get("/sandbox/sessions").json()["sessions"]) == 1


async def test_same_key_other_body_is_an_idempotency_error(sandbox: Sandbox) -> None:
    """Another amount under the same key is refused with Stripe's idempotency error."""
    await sandbox.session(key="k1")
    with pytest.raises(stripe.IdempotencyError):
        await sandbox.session(amount=9900, key="k1")


async def test_payment_is_captured_announced_and_booked_once(sandbox: Sandbox) -> None:
    """Paying completes the session, sends one verified webhook and books exactly the amount."""
    session = await sandbox.session()
    assert sandbox.act(session.id, "pay", card="4242 4242 4242 4242").json()["paid"] is True
    (event,) = sandbox.inbox.wait_for(lambda events: len(events) == 1)
    assert (event.type, event.data.object["id"]) == ("checkout.session.completed", session.id)
    paid = await sandbox.stripe.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert not isinstance(paid.payment_intent, str)
    assert paid.payment_intent is not None
    assert (paid.payment_intent.status, paid.payment_intent.amount_received) == ("succeeded", 4000)
    (entry,) = sandbox.entries()
    assert (entry["kind"], entry["amount"], entry["currency"]) == ("payment", 4000, "chf")
    assert (entry["client_reference_id"], entry["metadata"]) == ("payment-1", {"dossier": "dossier-1"})
    assert sandbox.act(session.id, "pay", twint=True).status_code == 400
    assert len(sandbox.entries()) == 1


async def test_decline_leaves_the_session_open_for_another_card(sandbox: Sandbox) -> None:
    """A declined card is announced, books nothing, and a second attempt with TWINT still pays."""
    session = await sandbox.session()
    assert sandbox.act(session.id, "pay", card="4000000000009995").json()["decline_code"] == "insufficient_funds"
    (event,) = sandbox.inbox.wait_for(lambda events: len(events) == 1)
    assert event.type == "payment_intent.payment_failed"
    assert event.data.object["last_payment_error"]["decline_code"] == "insufficient_funds"
    assert sandbox.entries() == []
    assert sandbox.act(session.id, "pay", twint=True).json()["paid"] is True
    intent = await sandbox.stripe.v1.payment_intents.retrieve_async(event.data.object["id"])
    assert intent.status == "succeeded"
    assert [entry["method"] for entry in sandbox.entries()] == ["twint"]


async def test_expire_closes_the_session_for_good(sandbox: Sandbox) -> None:
    """An expired session cannot be paid or expired again, and its webhook says so."""
    session = await sandbox.session()
    expired = await sandbox.stripe.v1.checkout.sessions.expire_async(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert sandbox.inbox.wait_for(lambda events: len(events) == 1)[0].type == "checkout.session.expired"
    assert sandbox.act(session.id, "pay").status_code == 400
    with pytest.raises(stripe.InvalidRequestError):
        await sandbox.stripe.v1.checkout.sessions.expire_async(session.id)


async def test_session_expires_by_itself(sandbox: Sandbox) -> None:
    """When expires_at has come, the session expires and says so without being asked."""
    session = await sandbox.session(expires_at=int(time.time()) + 2)
    (event,) = sandbox.inbox.wait_for(lambda events: len(events) == 1)
    assert (event.type, event.data.object["id"]) == ("checkout.session.expired", session.id)


async def test_abandoning_expires_at_once(sandbox: Sandbox) -> None:
    """The abandon shortcut is an expiry now."""
    session = await sandbox.session()
    assert sandbox.act(session.id, "abandon").json()["session"]["status"] == "expired"


async def test_refunds_never_exceed_what_was_paid(sandbox: Sandbox) -> None:
    """Partial refunds add up, are idempotent, and stop at the captured amount."""
    session = await sandbox.session()
    intent = sandbox.act(session.id, "pay").json()["session"]["payment_intent"]
    refunds = sandbox.stripe.v1.refunds
    for _ in range(2):
        await refunds.create_async({"payment_intent": intent, "amount": 1500}, {"idempotency_key": "r1"})
    with pytest.raises(stripe.InvalidRequestError):
        await refunds.create_async({"payment_intent": intent, "amount": 2501})
    rest = await refunds.create_async({"payment_intent": intent, "metadata": {"why": "withdrawn"}})
    assert (rest.amount, rest.status) == (2500, "succeeded")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await refunds.create_async({"payment_intent": intent})
    assert refused.value.code == "charge_already_refunded"
    listed = await refunds.list_async({"payment_intent": intent})
    assert [refund.amount for refund in listed.data] == [2500, 1500]
    events = sandbox.inbox.wait_for(lambda events: [e.type for e in events].count("charge.refunded") == 2)
    assert sorted(e.data.object["amount_refunded"] for e in events if e.type == "charge.refunded") == [1500, 4000]
    totals = sandbox.control.get("/sandbox/ledger").json()["totals"]
    assert totals == {"chf": {"payment": 4000, "refund": 4000}}


async def test_errors_come_in_stripes_shape(sandbox: Sandbox) -> None:
    """Wrong key, unknown session, unknown parameter and bad amount raise Stripe's own exceptions."""
    async with stripe_client("sk_test_wrong", sandbox.url) as stranger:
        with pytest.raises(stripe.AuthenticationError):
            await stranger.v1.checkout.sessions.retrieve_async("cs_test_1")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await sandbox.stripe.v1.checkout.sessions.retrieve_async("cs_test_1")
    assert (unknown.value.http_status, unknown.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as parameter:
        await sandbox.session(colour="red")
    assert (parameter.value.code, parameter.value.param) == ("parameter_unknown", "colour")
    with pytest.raises(stripe.InvalidRequestError) as amount:
        await sandbox.session(amount=49)
    assert amount.value.code == "amount_too_small"


@pytest.mark.parametrize(
    ("locale", "word"), [("de", "Kartennummer"), ("fr", "Numéro de carte"), ("it", "Numero della")]
)
async def test_page_speaks_the_sessions_language(sandbox: Sandbox, locale: str, word: str) -> None:
    """The payment page is in the session's language and loads nothing from elsewhere."""
    page = sandbox.control.get((await sandbox.session(locale=locale)).url)
    assert f'<html lang="{locale}">' in page.text
    assert word in page.text
    assert "40" in page.text
    assert "<script" not in page.text
    assert "src=" not in page.text


async def test_page_takes_a_card_and_returns_to_the_counter(sandbox: Sandbox) -> None:
    """A mistyped card is explained, a declined one too, and a good one returns to success_url."""
    url = (await sandbox.session()).url
    typo = sandbox.control.post(url, data={"method": "card", "card_number": "4242 4242 4242 4241"})
    assert (typo.status_code, 'aria-invalid="true"' in typo.text) == (422, True)
    assert sandbox.control.post(url, data={"method": "card", "card_number": "4000 0000 0000 0002"}).status_code == 402
    assert sandbox.control.post(url, data={"method": "card", "card_number": "4539 1488 0343 6467"}).status_code == 402
    paid = sandbox.control.post(url, data={"method": "card", "card_number": "4242 4242 4242 4242"})
    assert paid.headers["location"] == f"http://127.0.0.1:9/done?session={url.rsplit('/', 1)[1]}"
    assert "bereits erledigt" in sandbox.control.get(url).text
    assert len(sandbox.entries()) == 1


async def test_metadata_text_is_never_markup(sandbox: Sandbox) -> None:
    """A product name with markup is shown as text."""
    line = {
        "price_data": {"currency": "chf", "unit_amount": 100, "product_data": {"name": "<b onload=x>"}},
        "quantity": 1,
    }
    page = sandbox.control.get((await sandbox.session(line_items=[line])).url)
    assert "&lt;b onload=x&gt;" in page.text
