"""A payment is captured once, ends visibly, and gives back what nobody owes, in whatever order facts come."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments import domain
from services.payments.state import ENDED
from shared.environment import timestamp
from shared.journal import Recorded
from tests.unit.payments_samples import (
    AMOUNT,
    REFERENCE,
    START,
    SUBJECT,
    Life,
    checked_out,
    opened,
    request,
    session,
)

PAID = domain.settle(session())
EXPIRED = domain.settle(session("expired"))
REFUSED = domain.refuse_card("insufficient_funds")
CHECKOUT = domain.record_checkout("cs_test_1", "https://pay.example/1", START + timedelta(hours=23))


def test_a_card_payment_asks_for_a_checkout() -> None:
    """Opening wants a page, until the time by which must be paid."""
    life = opened()
    assert life.words == ["payment_opened"]
    assert [(work.kind, work.not_after) for work in life.works] == [
        ("create_checkout", timestamp(START + timedelta(days=10)))
    ]


def test_a_repeated_request_opens_nothing_new() -> None:
    """The second of two equal requests leads to nothing."""
    assert opened().decide(domain.open_payment(request(), None)) == []


def test_a_checkout_is_looked_at_after_ten_seconds() -> None:
    """The first look does not wait for a webhook."""
    life = checked_out()
    assert life.words[-1] == "checkout_created"
    assert (life.works[-1].kind, life.works[-1].due_at) == ("poll_checkout", timestamp(START + timedelta(seconds=10)))
    assert life.decide(CHECKOUT) == []


def test_money_succeeds_once() -> None:
    """Webhook and poll tell of the same money; only the first counts."""
    life = checked_out()
    assert life.decide(PAID) == ["payment_succeeded"]
    assert life.decide(PAID) == []
    assert (life.alive.status, life.alive.to_return) == ("succeeded", 0)


def test_another_checkout_says_nothing_about_this_one() -> None:
    """A session that is not this payment's changes nothing."""
    other = domain.Session("cs_test_other", "paid", AMOUNT, "CHF")
    assert checked_out().decide(domain.settle(other)) == []


@pytest.mark.parametrize("amount", [AMOUNT - 1, AMOUNT + 1, 0])
def test_a_wrong_amount_is_never_a_success(amount: int) -> None:
    """It ends visibly as declined, and what was taken goes back."""
    life = checked_out()
    assert life.decide(domain.settle(session(amount=amount))) == ["payment_declined", "refund_requested"]
    assert (life.alive.status, life.alive.reason, life.alive.to_return) == ("declined", "amount_mismatch", amount)
    assert life.kinds[-1] == "refund"


def test_a_wrong_currency_is_left_to_people() -> None:
    """Another currency is no success either; no refund is guessed."""
    life = checked_out()
    words = life.decide(domain.settle(session(currency="EUR")))
    assert words == ["payment_declined", "refund_requested", "refund_referred"]
    assert "refund" not in life.kinds


def test_a_declined_card_ends_only_once_the_checkout_is_closed() -> None:
    """First the page is closed, then the attempt is over: the old page can take no money."""
    life = checked_out()
    assert life.decide(REFUSED) == ["checkout_closure_requested"]
    assert life.kinds[-1] == "close_checkout"
    assert life.decide(REFUSED) == []
    assert life.decide(EXPIRED) == ["payment_declined"]
    assert life.alive.reason == "insufficient_funds"


def test_a_declined_card_followed_by_a_good_one_is_paid() -> None:
    """Paid before the page could be closed is paid."""
    life = checked_out()
    life.decide(REFUSED)
    assert life.decide(PAID) == ["payment_succeeded"]


def test_a_poll_finds_a_declined_card_too() -> None:
    """An open session with a refused card is closed without a webhook."""
    found = domain.settle(session("open", declined="lost_card"))
    life = checked_out()
    assert life.decide(found) == ["checkout_closure_requested"]
    assert life.alive.reason == "card_declined"  # nobody is told that a card counts as lost


def test_an_open_session_is_no_news() -> None:
    """Nothing is recorded while the applicant makes up their mind."""
    assert checked_out().decide(domain.settle(session("open"))) == []


def test_cancelling_before_the_checkout_ends_at_once() -> None:
    """No page was shown, so there is nothing to close."""
    life = opened()
    assert life.decide(domain.cancel_payment) == ["payment_cancelled"]


def test_a_checkout_made_while_cancelling_is_closed_unseen() -> None:
    """The page of an ended payment is not published but closed at the provider."""
    life = opened()
    life.decide(domain.cancel_payment)
    assert life.decide(CHECKOUT) == ["checkout_closure_requested"]
    assert (life.kinds[-1], life.alive.status) == ("close_checkout", "cancelled")
    assert life.decide(EXPIRED) == []


def test_cancelling_an_open_checkout_closes_it_first() -> None:
    """The end is told when the provider says that the page is closed."""
    life = checked_out()
    assert life.decide(domain.cancel_payment) == ["checkout_closure_requested"]
    assert life.decide(domain.cancel_payment) == []
    assert life.decide(EXPIRED) == ["payment_cancelled"]


def test_paid_while_cancelling_goes_back() -> None:
    """The success is recorded, then all of it returns."""
    life = checked_out()
    life.decide(domain.cancel_payment)
    assert life.decide(PAID) == ["payment_succeeded", "refund_requested"]
    assert life.kinds[-1] == "refund"
    assert life.decide(domain.returned) == ["payment_refunded"]
    assert life.decide(domain.returned) == []
    assert (life.alive.status, life.alive.owed_back) == ("refunded", 0)


def test_cancelled_after_the_success_goes_back_too() -> None:
    """Success and cancellation crossed on their way: the same end."""
    life = checked_out()
    life.decide(PAID)
    assert life.decide(domain.cancel_payment) == ["refund_requested"]
    assert life.decide(domain.cancel_payment) == []
    assert life.decide(domain.returned) == ["payment_refunded"]


def test_money_after_a_decline_is_no_success() -> None:
    """Another attempt may be under way, so it only goes back."""
    life = checked_out()
    life.decide(REFUSED)
    life.decide(EXPIRED)
    assert life.decide(PAID) == ["refund_requested"]


def test_a_refund_that_fails_is_left_to_people() -> None:
    """A refused refund ends visibly."""
    life = checked_out()
    life.decide(PAID)
    life.decide(domain.cancel_payment)
    assert life.decide(domain.refer("refund_failed")) == ["refund_referred"]
    assert (life.alive.referred, life.alive.owed_back) == (AMOUNT, 0)
    assert life.decide(domain.returned) == []


def test_a_delay_is_told_once_and_only_before_the_checkout() -> None:
    """Whoever can already pay is not told to wait."""
    life = opened()
    assert life.decide(domain.delay(3)) == ["payment_delayed"]
    assert life.decide(domain.delay(4)) == []
    assert checked_out().decide(domain.delay(3)) == []


def test_too_old_a_request_expires_and_a_refused_one_is_declined() -> None:
    """An attempt without a page ends visibly."""
    assert opened().decide(domain.expire) == ["payment_expired"]
    assert opened().decide(domain.fail("provider_refused")) == ["payment_declined"]
    assert checked_out().decide(domain.expire) == []
    life = checked_out()
    assert life.decide(domain.fail("provider_failed")) == ["checkout_closure_requested"]
    assert life.decide(domain.fail("provider_failed")) == []
    assert life.decide(domain.abandon_closing) == ["payment_declined"]


def test_an_invoice_is_issued_at_once() -> None:
    """No provider is asked; a timer waits for the end of the term."""
    life = opened("invoice")
    assert life.words == ["payment_opened", "invoice_issued"]
    assert [(work.kind, work.due_at) for work in life.works] == [
        ("invoice_overdue", timestamp(START + timedelta(days=10)))
    ]
    assert life.alive.reference == REFERENCE


def test_only_the_exact_amount_settles_an_invoice() -> None:
    """Too little and too much change nothing; the exact amount does."""
    life = opened("invoice")
    assert life.decide(domain.book_credit(AMOUNT - 1)) == []
    assert life.decide(domain.book_credit(AMOUNT + 1)) == []
    assert life.decide(domain.book_credit(AMOUNT)) == ["payment_succeeded"]


def test_a_second_transfer_is_left_to_the_finance_office() -> None:
    """Paid twice: the second money is nobody's debt and no provider can send it back."""
    life = opened("invoice")
    life.decide(domain.book_credit(AMOUNT))
    assert life.decide(domain.book_credit(AMOUNT)) == ["refund_requested", "refund_referred"]
    assert (life.alive.status, life.alive.referred) == ("succeeded", AMOUNT)


def test_a_transfer_after_the_term_is_no_success() -> None:
    """The attempt expired; another may be under way."""
    life = opened("invoice")
    life.decide(domain.expire)
    assert life.decide(domain.book_credit(AMOUNT)) == ["refund_requested", "refund_referred"]


def test_a_transfer_after_cancellation_is_recorded_and_goes_back() -> None:
    """A bill that was cancelled cannot be called back: the money is taken note of and returned."""
    life = opened("invoice")
    assert life.decide(domain.cancel_payment) == ["payment_cancelled"]
    words = life.decide(domain.book_credit(AMOUNT))
    assert words == ["payment_succeeded", "refund_requested", "refund_referred"]


@pytest.mark.parametrize("order", list(permutations(["paid", "cancelled", "refused"])))
def test_the_order_of_facts_does_not_decide_over_money(order: tuple[str, ...]) -> None:
    """Paid, cancelled and a refused card, in any order: captured once, all of it returned."""
    facts = {"paid": PAID, "cancelled": domain.cancel_payment, "refused": REFUSED}
    life = checked_out()
    for name in order:
        life.decide(facts[name])
    assert life.words.count("payment_succeeded") == 1
    assert (life.alive.captured, life.alive.owed_back) == (True, AMOUNT)


FACTS = {
    "checkout": CHECKOUT,
    "paid": PAID,
    "wrong": domain.settle(session(amount=AMOUNT + 1)),
    "expired": EXPIRED,
    "open": domain.settle(session("open")),
    "refused": REFUSED,
    "cancelled": domain.cancel_payment,
    "delayed": domain.delay(3),
    "too_old": domain.expire,
    "failed": domain.fail("provider_failed"),
    "abandoned": domain.abandon_closing,
    "credit": domain.book_credit(AMOUNT),
    "small_credit": domain.book_credit(AMOUNT - 1),
    "huge_credit": domain.book_credit(10**12),
    "returned": domain.returned,
    "referred": domain.refer("refund_failed"),
    "request": domain.open_payment(request(), None),
}
SEQUENCES = st.lists(st.sampled_from(sorted(FACTS)), max_size=14)


@given(st.sampled_from(["card", "invoice"]), SEQUENCES)
def test_any_facts_in_any_order_keep_the_books(method: str, names: list[str]) -> None:
    """Nothing raises; at most one success and one end; returned is never more than taken; a refold agrees."""
    life = opened("invoice" if method == "invoice" else "card")
    for name in names:
        life.decide(FACTS[name])
        assert life.alive.owed_back >= 0
        assert life.alive.to_return == 0 or life.alive.captured
    assert life.words.count("payment_succeeded") <= 1
    ends = [word for word in life.words if word.removeprefix("payment_") in ENDED - {"refunded", "succeeded"}]
    assert len(ends) <= 1
    assert life.alive == _refolded(life)


@given(SEQUENCES)
def test_nothing_happens_to_a_payment_that_was_never_asked_for(names: list[str]) -> None:
    """Facts without a payment lead to nothing, until the request comes."""
    life = Life()
    for name in names:
        words = life.decide(FACTS[name])
        assert life.state is not None or words == []


@given(SEQUENCES)
def test_repeating_every_fact_changes_nothing_for_a_checkout(names: list[str]) -> None:
    """Provider facts told twice lead where they lead when told once."""
    told = [name for name in names if "credit" not in name]
    once, twice = checked_out(), checked_out()
    for name in told:
        once.decide(FACTS[name])
        twice.decide(FACTS[name])
        twice.decide(FACTS[name])
    assert once.words == twice.words


def _refolded(life: Life) -> object:
    again = Life()
    for number, fact in enumerate(life.facts, 1):
        recorded = Recorded(SUBJECT, number, timestamp(START), fact)
        again.state = domain.payment_aggregate(10).evolve(again.state, recorded)
    return again.state
