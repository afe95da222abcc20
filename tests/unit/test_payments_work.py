"""Orders that may be repeated, references that are one's own, settings that make sense."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.payments import domain
from services.payments.books import free_reference, reference_of
from services.payments.psp import Order
from services.payments.work import Desk, order_of
from shared.environment import timestamp
from shared.journal import Task
from shared.qr_reference import parse_qr_reference
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore
from tests.unit.payments_samples import START, SUBJECT, Life, MemoryBooks, request, settings

DAYS = st.timedeltas(timedelta(minutes=-5), timedelta(days=40))


def order_at(now: datetime, pay_by: datetime) -> tuple[Order, str]:
    """The order that the work makes at this time."""
    life = Life()
    life.decide(domain.open_payment(request(pay_by=pay_by), None))
    task = Task(SUBJECT, f"{SUBJECT}:1/create_checkout", "create_checkout", 1, None, "", life.alive)
    return order_of(task, now, "https://schalter.emmen.example/")


@given(DAYS, DAYS)
def test_a_checkout_ends_within_the_providers_limits(later: timedelta, term: timedelta) -> None:
    """Whenever it is made and whatever the term: 30 minutes to 24 hours from now, and the term where it fits."""
    now = START + max(later, timedelta(0))
    order, _ = order_at(now, START + term)
    assert timedelta(minutes=30) < order.expires_at - now < timedelta(hours=24)
    if timedelta(minutes=90) < START + term - now < timedelta(hours=23):
        assert timestamp(order.expires_at) == timestamp(START + term)


def test_a_repeat_within_half_an_hour_is_the_same_order_under_the_same_key() -> None:
    """Only so does the provider recognise it; the first key is the work's own id."""
    pay_by = START + timedelta(days=10)
    first = order_at(START, pay_by)
    assert first[1] == f"{SUBJECT}:1/create_checkout"
    assert order_at(START + timedelta(minutes=29, seconds=59), pay_by) == first


def test_after_half_an_hour_another_key_is_used() -> None:
    """A failure that the provider repeats for a day under one key does not last that long."""
    pay_by = START + timedelta(days=10)
    later = order_at(START + timedelta(minutes=31), pay_by)
    assert later[1] == f"{SUBJECT}:1/create_checkout/1"
    assert later[0].expires_at > order_at(START, pay_by)[0].expires_at


def test_the_payer_returns_to_the_dossier() -> None:
    """The page leads back to the portal, with the dossier's id and nothing else."""
    order, _ = order_at(START, START + timedelta(days=1))
    assert order.return_url == "https://schalter.emmen.example/?dossier=dossier1"
    assert (order.payment, order.dossier) == (SUBJECT, "dossier1")


def test_looks_at_a_checkout_become_rarer() -> None:
    """After 10 seconds come 20, 40, then every 60; a setting scales them together."""
    desk = Desk(None, FakeEnvironment(), settings())  # type: ignore[arg-type]
    assert [desk.after(attempts) for attempts in (1, 2, 3, 4, 500)] == [20, 40, 60, 60, 60]
    quick = Desk(None, FakeEnvironment(), settings(poll_first_seconds=0.5))  # type: ignore[arg-type]
    assert [quick.after(attempts) for attempts in (1, 4)] == [1.0, 3.0]


def test_a_reference_follows_from_the_payment() -> None:
    """The same payment has the same valid reference, another one another."""
    first = reference_of(SUBJECT, 1024, 2026)
    assert first == reference_of(SUBJECT, 1024, 2026)
    assert first != reference_of("dossier1:5", 1024, 2026)
    assert (parse_qr_reference(first).tenant_no, parse_qr_reference(first).year) == (1024, 2026)


async def test_a_reference_that_is_taken_is_passed_over() -> None:
    """Two payments never share a reference; one's own is found again."""
    taken = reference_of(SUBJECT, 1024, 2026)
    store = MemoryJournalStore(documents={"other:1": {"state": {"reference": taken}}})
    books = MemoryBooks(store)
    second = await free_reference(books, SUBJECT, 1024, 2026)
    assert second == reference_of(SUBJECT, 1024, 2026, attempt=1)
    store.documents[SUBJECT] = {"state": {"reference": second}}
    assert await free_reference(books, SUBJECT, 1024, 2026) == second


@pytest.mark.parametrize(
    "wrong",
    [
        {"qr_iban": "CH9300762011623852957"},
        {"qr_iban": "CH4431999123000889013"},
        {"qr_iban": "DE89370400440532013000"},
        {"stripe_api_key": ""},
        {"poll_first_seconds": 0},
        {"environment": "production", "oidc_issuer": "https://login.example", "stripe_api_base": "http://psp.example"},
    ],
    ids=["ordinary-iban", "check-digit", "german", "no-key", "no-pause", "unprotected-provider"],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    """An ordinary IBAN on a QR-bill, or an unprotected provider in production, is found at the start."""
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_secrets_are_not_shown() -> None:
    """Printing the settings shows no key."""
    assert "sk_test_key" not in repr(settings())
    assert "whsec_test" not in repr(settings())
