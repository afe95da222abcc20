"""The process of a dossier: what opens, what waits, and that arrival order across topics does not matter."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations, permutations
from typing import Any

import pytest

from services.intake import domain
from services.intake.state import Dossier
from tests.unit.intake_desk import CATALOGUE, DOSSIER, SEALED, Desk

REGISTER_ID = {"sealed": SEALED.format("person")}
EVIDENCE = {"sealed": SEALED.format("evidence"), "fields": 7}


def service_of(dossier: Dossier) -> Any:
    """The municipal service of a dossier."""
    return CATALOGUE[dossier.service, dossier.service_version]


async def identified(consents: Sequence[str] = ("residence",)) -> Desk:
    """A residence certificate whose applicant the register knows."""
    desk = Desk()
    await desk.submit("residence-certificate", consents)
    await desk.tell("identity", "confirmed", 2, **REGISTER_ID)
    return desk


async def test_submission_opens_the_first_step_only() -> None:
    """Right after submission the identity check is asked for, and nothing that comes after it."""
    desk = Desk()
    dossier = await desk.submit("residence-certificate", ["residence"])
    assert dossier.status == "received"
    assert "identity_check_requested" in await desk.words()
    assert "payment_requested" not in await desk.words()


async def test_identity_opens_evidence_and_payment_side_by_side() -> None:
    """Once the identity is confirmed, evidence and fee are asked for in the same write."""
    desk = await identified()
    assert {"evidence_requested", "payment_requested"} <= set(await desk.words())


async def test_decision_waits_for_both_and_then_the_document() -> None:
    """Only when evidence and fee are done does the decision open, then the document, then the end."""
    desk = await identified()
    await desk.tell("residence", "fetched", 2, **EVIDENCE)
    await desk.ask(domain.confirm_evidence(service_of, "residence", accepted=True))
    assert "decision" not in (await desk.dossier()).steps
    await desk.tell("fee", "succeeded", 2)
    assert (await desk.dossier()).steps["decision"].phase == "open"
    await desk.ask(domain.record_rules("decision", "granted"))
    dossier = await desk.dossier()
    assert dossier.decision == "granted"
    assert dossier.automatic is True
    assert dossier.steps["certificate"].phase == "open"


@pytest.mark.parametrize("outcome", ["mismatched", "failed"])
async def test_identity_that_is_not_confirmed_goes_to_a_person(outcome: Any) -> None:
    """A mismatch, or a register that never answered, ends in a review, visibly."""
    desk = Desk()
    await desk.submit("payment-slips")
    dossier = await desk.tell("identity", outcome, 2, reasons=("not_found",))
    assert dossier.status == "in_review"
    assert dossier.waiting_for == "authority"


async def test_refused_review_ends_and_gives_the_fee_back() -> None:
    """A refusal cancels the payment that had succeeded, so that the money goes back."""
    desk = await identified(consents=())
    await desk.tell("fee", "succeeded", 2)
    await desk.ask(domain.answer_consent(service_of, "residence", granted=False))
    await desk.ask(domain.review("residence", "refused", "case-worker", None, ()))
    dossier = await desk.dossier()
    assert dossier.ending == "refused"
    assert [request.cancelled for request in dossier.requests.values() if request.kind == "payment"] == [True]


async def test_an_agency_answers_only_its_own_review() -> None:
    """Another authority's review is refused with a code that says so."""
    desk = Desk()
    await desk.submit("payment-slips")
    await desk.tell("identity", "mismatched", 2, reasons=("not_found",))
    with pytest.raises(domain.NotPossible, match="review_of_another_authority"):
        await desk.ask(domain.review("identity", "accepted", "debt-office", "debt-office", ()))


async def test_the_second_payment_attempt_is_a_new_request() -> None:
    """After a decline another attempt is asked for under another id; a late fact of the first changes nothing."""
    desk = await identified()
    await desk.tell("fee", "checkout_created", 2, url="https://psp.example/1")
    await desk.tell("fee", "declined", 3, reasons=("card_declined",))
    first = (await desk.dossier()).steps["fee"].request
    await desk.ask(domain.pay_again(service_of, "twint", 1.0))
    step = (await desk.dossier()).steps["fee"]
    assert step.request != first
    assert (step.attempts, step.method) == (2, "twint")


async def test_the_applicants_deadline_rings_only_for_the_status_it_was_set_for() -> None:
    """A timer of an older status changes nothing; the one of the present status closes the dossier, not before time."""
    desk = await identified(consents=())
    old = (await desk.dossier()).status_event or ""
    await desk.ask(domain.answer_consent(service_of, "residence", granted=True))
    await desk.tell("residence", "fetched", 2, **EVIDENCE)
    desk.environment.advance(timedelta(days=31))
    await desk.ask(domain.expire(old))
    assert (await desk.dossier()).ending is None
    await desk.ask(domain.expire((await desk.dossier()).status_event or ""))
    assert (await desk.dossier()).ending == "expired"


# One fact per topic that may come after the identity is known: (step, outcome, details).
FACTS: dict[str, list[tuple[str, Any, dict[str, Any]]]] = {
    "identity.events": [
        ("residence", "fetched", EVIDENCE),
        ("residence", "unavailable", {"reasons": ("not_found",)}),
        ("residence", "delayed", {}),
    ],
    "payments.events": [
        ("fee", "checkout_created", {"url": "https://psp.example/1"}),
        ("fee", "invoiced", {"reference": "1" * 27}),
        ("fee", "succeeded", {}),
        ("fee", "declined", {"reasons": ("card_declined",)}),
        ("fee", "expired", {}),
        ("fee", "delayed", {}),
    ],
    "notifications.events": [("", "sent", {}), ("", "failed", {}), ("", "suppressed", {})],
}
PAIRS = [(one, other) for a, b in combinations(FACTS, 2) for one in FACTS[a] for other in FACTS[b]]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda fact: f"{fact[0]}-{fact[1]}")
async def test_every_pair_of_topics_in_both_orders(one: Any, other: Any) -> None:
    """Two facts from two topics lead to the same dossier, whichever comes first."""
    ended = [await _after(order) for order in permutations((one, other))]
    assert ended[0] == ended[1]


async def _after(facts: Sequence[tuple[str, Any, dict[str, Any]]]) -> dict[str, Any]:
    desk = await identified()
    for step, outcome, details in facts:
        if step:
            await desk.tell(step, outcome, 2, **details)
        else:
            await desk.ask(domain.record_notice(f"{DOSSIER}:4", outcome))
    # Which event last changed the status follows the order of arrival; what the status is does not.
    return (await desk.dossier()).model_dump(exclude={"status_event"})


async def test_an_open_review_is_listed_while_the_applicant_still_has_to_pay() -> None:
    """Refusing the consent asks the residents' office at once, whatever else the dossier waits for."""
    desk = await identified(consents=())
    await desk.tell("fee", "checkout_created", 2, url="https://psp.example/1")
    await desk.ask(domain.answer_consent(service_of, "residence", granted=False))
    dossier = await desk.dossier()
    assert (dossier.status, dossier.awaiting) == ("payment_due", ("residents-office",))
    await desk.ask(domain.review("residence", "accepted", "case-worker", None, ()))
    assert (await desk.dossier()).awaiting == ()
