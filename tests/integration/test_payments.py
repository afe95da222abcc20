"""Payments against the sandbox processor over HTTP: money is taken once, told of, and given back when not owed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from services.payments import psp
from shared.contracts.payments import CheckoutCreated, PaymentDeclined, PaymentSucceeded, RefundReferred
from shared.environment import parse_timestamp
from tests.integration.payments_office import DOSSIER, Office, open_office

GOOD = "4242424242424242"
BAD = "4000000000009995"
LATER = timedelta(seconds=61)
PAID = ["payment_opened", "checkout_created", "payment_succeeded"]
CLOSING = ["payment_opened", "checkout_created", "checkout_closure_requested"]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """The service with a fresh processor."""
    async with open_office(tmp_path) as opened:
        yield opened


async def test_checkout_carries_what_is_needed_and_no_more(office: Office) -> None:
    """Reference, amount, language, way back and end are the payment's; the page's address goes to intake."""
    payment, session = await office.checkout("twint")
    (found,) = await office.sessions()
    assert (found["client_reference_id"], found["metadata"]) == (payment, {"payment": payment, "dossier": DOSSIER})
    assert (found["amount_total"], found["currency"], found["locale"]) == (4000, "chf", "fr")
    assert found["payment_method_types"] == ["twint"]
    assert found["success_url"] == found["cancel_url"] == f"http://127.0.0.1:8100/?dossier={DOSSIER}"
    created = (await office.told(payment))[1]
    assert isinstance(created, CheckoutCreated)
    assert (created.url, created.session) == (found["url"], session)
    assert int(parse_timestamp(created.expires_at).timestamp()) == found["expires_at"]


async def test_paid_is_told_by_webhook(office: Office) -> None:
    """The success is recorded without any poll, with the method; one capture stands in the ledger."""
    payment, session = await office.checkout("twint")
    await office.act(session, "pay", twint=True)
    await office.until(payment, "payment.succeeded")
    succeeded = (await office.told(payment))[-1]
    assert isinstance(succeeded, PaymentSucceeded)
    assert (succeeded.amount, succeeded.currency, succeeded.method) == (4000, "CHF", "twint")
    await office.work(LATER)
    assert await office.words(payment) == PAID
    assert await office.moves() == [("payment", 4000)]


async def test_paid_is_found_when_every_webhook_is_lost(office: Office) -> None:
    """The first look after ten seconds finds the money."""
    await office.faults(drop_webhooks=100)
    payment, session = await office.checkout()
    await office.work(timedelta(seconds=9))
    await office.act(session, "pay", card=GOOD)
    await office.work()
    assert await office.words(payment) == PAID[:2]
    await office.work(timedelta(seconds=1))
    assert await office.words(payment) == PAID


async def test_paid_late_is_found_within_a_minute(office: Office) -> None:
    """However long the page was open, looks never become rarer than every 60 seconds."""
    await office.faults(drop_webhooks=100)
    payment, session = await office.checkout()
    for _ in range(30):
        await office.work(timedelta(seconds=60))
    await office.act(session, "pay", card=GOOD)
    await office.work(timedelta(seconds=60))
    assert await office.words(payment) == PAID


async def test_duplicated_webhooks_change_nothing(office: Office) -> None:
    """One event is delivered three times; everything is recorded once."""
    await office.faults(duplicate_webhooks=100)
    payment, session = await office.checkout()
    await office.act(session, "pay", card=GOOD)
    await office.until(payment, "payment.succeeded")
    (told,) = await office.webhooks()
    await office.psp.post(f"/sandbox/events/{told['event']['id']}/resend")
    await office.delivered(3)
    await office.work(LATER)
    assert await office.words(payment) == PAID


@pytest.mark.parametrize("lost", [0, 100], ids=["webhook", "poll"])
async def test_declined_card_closes_the_page_first(office: Office, lost: int) -> None:
    """The attempt ends as declined, and its page can take no money any more."""
    await office.faults(drop_webhooks=lost)
    payment, session = await office.checkout()
    await office.act(session, "pay", card=BAD)
    if not lost:
        await office.until(payment, "closure_requested")
    await office.work(timedelta(seconds=10))
    assert await office.words(payment) == [*CLOSING, "payment_declined"]
    declined = (await office.told(payment))[-1]
    assert isinstance(declined, PaymentDeclined)
    assert declined.reason == "insufficient_funds"
    assert (await office.act(session, "pay", card=GOOD)).status_code == 400
    assert await office.moves() == []


async def test_second_card_before_the_page_is_closed_counts(office: Office) -> None:
    """Declined, then paid at once on the same page: the money is the payment's."""
    await office.faults(drop_webhooks=1)
    payment, session = await office.checkout()
    await office.faults(drop_webhooks=0)
    await office.act(session, "pay", card=BAD)
    await office.until(payment, "closure_requested")
    await office.faults(drop_webhooks=100)
    await office.act(session, "pay", card=GOOD)
    await office.work()
    assert await office.words(payment) == [*CLOSING, "payment_succeeded"]


async def test_cancelled_checkout_takes_no_money(office: Office) -> None:
    """The page is closed before the cancellation is told."""
    payment, session = await office.checkout()
    await office.cancel(payment)
    assert await office.words(payment) == CLOSING
    await office.work()
    assert await office.words(payment) == [*CLOSING, "payment_cancelled"]
    assert (await office.act(session, "pay", card=GOOD)).status_code == 400
    await office.work(LATER)
    assert await office.moves() == []


async def test_paid_while_cancelling_is_refunded_once(office: Office) -> None:
    """Closing finds the money, records it, and gives all of it back, once."""
    await office.faults(drop_webhooks=100)
    payment, session = await office.checkout()
    await office.act(session, "pay", card=GOOD)
    await office.cancel(payment)
    await office.work()
    refunded = [*CLOSING, "payment_succeeded", "refund_requested", "payment_refunded"]
    assert await office.words(payment) == refunded
    assert await office.moves() == [("payment", 4000), ("refund", 4000)]
    await office.cancel(payment)
    await office.work(LATER)
    assert await office.words(payment) == refunded


async def test_cancelled_before_the_page_was_made(office: Office) -> None:
    """Nothing is made for a payment that nobody wants."""
    payment = await office.request()
    await office.cancel(payment)
    await office.work()
    assert await office.words(payment) == ["payment_opened", "payment_cancelled"]
    assert await office.sessions() == []


async def test_abandoned_page_expires(office: Office) -> None:
    """The provider says that the page is over."""
    payment, session = await office.checkout()
    await office.act(session, "abandon")
    await office.until(payment, "payment.expired")
    assert (await office.words(payment))[-1] == "payment_expired"


async def test_page_is_closed_when_the_term_is_over(office: Office) -> None:
    """The term counts, also when the provider would keep the page open longer."""
    payment, session = await office.checkout(term=timedelta(seconds=25))
    await office.work(timedelta(seconds=10))
    assert (await office.words(payment))[-1] == "checkout_created"
    await office.work(timedelta(seconds=15))
    assert (await office.words(payment))[-1] == "payment_expired"
    assert (await office.act(session, "pay", card=GOOD)).status_code == 400


async def test_outage_is_told_once_and_ends_well(office: Office) -> None:
    """The third vain attempt is told; when the provider is back there is one page."""
    await office.faults(error_rate=1.0, status=503)
    payment = await office.request()
    for _ in range(6):
        await office.work(timedelta(seconds=40))
    assert await office.words(payment) == ["payment_opened", "payment_delayed"]
    await office.faults()
    await office.work(timedelta(seconds=40))
    assert await office.words(payment) == ["payment_opened", "payment_delayed", "checkout_created"]
    assert len(await office.sessions()) == 1


async def test_outage_until_the_term_is_over_ends_visibly(office: Office) -> None:
    """What could not be offered in time expires."""
    await office.faults(error_rate=1.0, status=500)
    payment = await office.request(term=timedelta(minutes=5))
    for _ in range(10):
        await office.work(timedelta(seconds=60))
    assert (await office.words(payment))[-1] == "payment_expired"


async def test_lost_answer_makes_no_second_page(office: Office) -> None:
    """The repeat under the same key finds the page that was made."""
    await office.faults(lose_answers=1.0)
    payment = await office.request()
    await office.work()
    await office.faults()
    await office.work(timedelta(seconds=5))
    assert (await office.words(payment))[-1] == "checkout_created"
    assert len(await office.sessions()) == 1


async def test_hanging_provider_is_an_outage(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is given up after its time and done again later."""
    monkeypatch.setattr(psp, "TIMEOUT", httpx.Timeout(0.2))
    await office.faults(hang_seconds=0.6)
    payment = await office.request()
    await office.work()
    assert await office.words(payment) == ["payment_opened"]
    await office.faults()
    await office.work(timedelta(seconds=5))
    assert (await office.words(payment))[-1] == "checkout_created"


async def test_lost_answer_refunds_once(office: Office) -> None:
    """After an unknown outcome the provider is asked what was given back."""
    await office.faults(drop_webhooks=100)
    payment, session = await office.checkout()
    await office.act(session, "pay", card=GOOD)
    await office.work(timedelta(seconds=10))
    await office.cancel(payment)
    await office.faults(lose_answers=1.0)
    await office.work()
    await office.faults()
    await office.work(timedelta(minutes=10))
    assert (await office.words(payment))[-1] == "payment_refunded"
    assert await office.moves() == [("payment", 4000), ("refund", 4000)]


async def test_refund_that_the_provider_cannot_make_goes_to_people(office: Office) -> None:
    """A failed refund ends visibly and is not tried for ever."""
    payment, session = await office.checkout()
    await office.act(session, "pay", card=GOOD)
    await office.until(payment, "payment.succeeded")
    await office.faults(reject_refunds=True)
    await office.cancel(payment)
    await office.work()
    referred = (await office.told(payment))[-1]
    assert isinstance(referred, RefundReferred)
    assert (referred.amount, referred.reason) == (4000, "refund_failed")
    await office.work(timedelta(minutes=10))
    assert await office.moves() == [("payment", 4000)]


async def test_refused_order_is_declined(office: Office) -> None:
    """What the provider will never take (here: less than 50 rappen) ends at once and visibly."""
    payment = await office.request(amount=20)
    await office.work()
    assert await office.words(payment) == ["payment_opened", "payment_declined"]


async def test_wrong_key_loses_nothing(tmp_path: Path) -> None:
    """An unusable key is the operator's to mend: citizens are told of a delay, not of a declined card."""
    async with open_office(tmp_path, stripe_api_key="sk_test_wrong") as office:
        payment = await office.request()
        for _ in range(4):
            await office.work(timedelta(seconds=40))
        assert await office.words(payment) == ["payment_opened", "payment_delayed"]


async def test_checkout_that_the_provider_forgot_is_asked_for_until_its_end(office: Office) -> None:
    """A provider that knows nothing may be the wrong one, so the payment expires only after its own end."""
    payment, _ = await office.checkout()
    office.store.documents[payment]["state"]["session"] = "cs_test_unknown"
    await office.work(LATER)
    assert (await office.words(payment))[-1] == "checkout_created"
    await office.work(timedelta(days=1))
    assert (await office.words(payment))[-1] == "payment_expired"
