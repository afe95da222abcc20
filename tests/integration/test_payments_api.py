"""The API of payments over HTTP: forged webhooks, bank files, and what staff may look up."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.payments import RefundReferred
from shared.testing.telemetry import recorded_logs
from shared.testing.web import problem
from shared.web.body import MAX_BODY_BYTES
from tests.integration.payments_office import DOSSIER, Office, open_office
from tests.unit.bank_samples import REFERENCE, entry, file, payment

XML = {"Content-Type": "application/xml"}
EN = {"Accept-Language": "en"}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """The service with a fresh processor."""
    async with open_office(tmp_path) as opened:
        yield opened


async def invoice(office: Office) -> tuple[str, str]:
    """A bill: payment and reference."""
    asked = await office.request("invoice")
    found = await office.payments.state(asked)
    assert found is not None
    assert found.state.reference is not None
    return asked, found.state.reference


async def send(office: Office, *payments: str) -> list[dict[str, Any]]:
    """Send a bank file as an operator; return what became of its entries."""
    answer = await office.http.post(
        "/v1/bank-files", content=file(entry(*payments)), headers=XML | office.bearer("operator")
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


def credit(servicer: str, reference: str, amount: str = "40.00", currency: str = "CHF") -> str:
    """A transfer with this reference."""
    sent = payment(servicer, amount).replace(REFERENCE, reference)
    return sent.replace('Ccy="CHF"', f'Ccy="{currency}"')


@pytest.mark.parametrize("how", ["wrong_secret", "unsigned", "stale", "tampered"])
async def test_forged_webhooks_are_refused(office: Office, how: str) -> None:
    """Only Stripe's recent signature over the exact bytes counts; nothing else is recorded."""
    asked, session = await office.checkout()
    answer = await office.psp.post("/sandbox/forge", json={"session": session, "how": how})
    assert answer.json() == {"status": 400}
    assert await office.words(asked) == ["payment_opened", "checkout_created"]


async def test_refusal_of_a_webhook_is_a_problem_document(office: Office) -> None:
    """The answer names what was expected and nothing of the body."""
    body = b'{"id": "evt_1"}'
    headers = {"Content-Type": "application/json", "Stripe-Signature": "t=1,v1=00"} | EN
    answer = await office.http.post("/v1/webhooks/stripe", content=body, headers=headers)
    assert "Stripe-Signature" in problem(answer, 400, "signature-invalid")["detail"]
    plain = await office.http.post("/v1/webhooks/stripe", content=body, headers={"Content-Type": "text/plain"})
    problem(plain, 415, "unsupported-media-type")


async def test_signed_webhook_with_another_amount_is_no_success(office: Office) -> None:
    """Even a signed event pays only what is owed; the failure is visible and left to people."""
    asked, session = await office.checkout()
    order = {"session": session, "how": "signed", "overrides": {"amount_total": 100}}
    assert (await office.psp.post("/sandbox/forge", json=order)).json() == {"status": 200}
    assert (await office.words(asked))[2:] == ["payment_declined", "refund_requested"]
    await office.work()
    referred = (await office.told(asked))[-1]
    assert isinstance(referred, RefundReferred)
    assert (referred.amount, referred.reason) == (100, "provider_refused")


@pytest.mark.parametrize(
    "order",
    [
        {"session": "", "how": "signed"},
        {"session": "", "how": "signed", "overrides": {"client_reference_id": "dossier9:1"}},
        {"session": "", "how": "signed", "type": "invoice.paid"},
        {"session": "", "how": "signed", "type": "payment_intent.payment_failed"},
    ],
    ids=["without-payment", "unknown-payment", "other-kind", "refusal-without-payment"],
)
async def test_webhooks_that_do_not_concern_us_are_accepted_and_ignored(office: Office, order: dict[str, Any]) -> None:
    """The account may serve others too: 200, so that Stripe does not repeat, and no payment is made up."""
    assert (await office.psp.post("/sandbox/forge", json=order)).json() == {"status": 200}
    assert office.store.documents == {}


async def test_webhook_waits_for_the_database(office: Office) -> None:
    """While nothing can be saved the answer is 503, and Stripe's repeat is recorded."""
    asked, session = await office.checkout()
    office.store.away = True
    order = {"session": session, "how": "signed"}
    assert (await office.psp.post("/sandbox/forge", json=order)).json() == {"status": 503}
    await office.act(session, "pay", card="4242424242424242")
    office.store.away = False
    await office.until(asked, "payment.succeeded")


async def test_exact_transfer_settles_a_bill_once(office: Office) -> None:
    """The same file again, and the same entry twice in a file, book nothing more."""
    asked, reference = await invoice(office)
    (first,) = await send(office, credit("B1", reference))
    assert (first["outcome"], first["payment"], first["to_return"]) == ("matched", asked, 0)
    again = await send(office, credit("B1", reference), credit("B1", reference))
    assert [found["outcome"] for found in again] == ["duplicate", "duplicate"]
    assert await office.words(asked) == ["payment_opened", "invoice_issued", "payment_succeeded"]


async def test_every_entry_is_answered(office: Office) -> None:
    """Too little, too much, unknown, another currency: each by its word, and none of them settles."""
    asked, reference = await invoice(office)
    found = await send(
        office,
        credit("B1", reference, "39.95"),
        credit("B2", reference, "40.05"),
        credit("B3", REFERENCE),
        credit("B4", reference, currency="EUR"),
        payment("B5", kind="SCOR"),
    )
    outcomes = [answer["outcome"] for answer in found]
    assert outcomes == ["underpaid", "overpaid", "unmatched", "unmatched", "unmatched"]
    assert [answer["amount"] for answer in found] == [3995, 4005, 4000, 4000, 4000]
    assert await office.words(asked) == ["payment_opened", "invoice_issued"]


async def test_money_that_nobody_owes_is_left_to_the_finance_office(office: Office) -> None:
    """Paid twice, or after the term: visible in the answer and in the payment, once."""
    asked, reference = await invoice(office)
    await send(office, credit("B1", reference))
    (twice,) = await send(office, credit("B2", reference))
    assert (twice["outcome"], twice["to_return"]) == ("overpaid", 4000)
    (repeated,) = await send(office, credit("B2", reference))
    assert repeated["outcome"] == "duplicate"
    late, late_reference = await invoice(office)
    await office.work(timedelta(days=11))
    assert (await office.words(late))[-1] == "payment_expired"
    await send(office, credit("B3", late_reference))
    assert (await office.words(late))[-2:] == ["refund_requested", "refund_referred"]
    shown = await office.http.get(f"/v1/payments/{asked}", headers=office.bearer("caseworker"))
    assert (shown.json()["status"], shown.json()["referred"]) == ("succeeded", 4000)


async def test_bill_is_overdue_at_its_term(office: Office) -> None:
    """Not before, and exactly then."""
    asked, _ = await invoice(office)
    await office.work(timedelta(days=10) - timedelta(milliseconds=1))
    assert await office.words(asked) == ["payment_opened", "invoice_issued"]
    await office.work(timedelta(milliseconds=1))
    assert (await office.words(asked))[-1] == "payment_expired"


async def test_bank_files_are_for_operators(office: Office) -> None:
    """Nobody else books money."""
    for headers, status in (
        (XML, 401),
        (XML | office.bearer("caseworker"), 403),
        (XML | office.bearer("citizen"), 403),
    ):
        answer = await office.http.post("/v1/bank-files", content=file(), headers=headers)
        assert answer.status_code == status


async def test_unusable_bank_files_are_refused(office: Office) -> None:
    """JSON, too much, a DOCTYPE, a strange amount: each is a problem that names what was expected."""
    operator = office.bearer("operator") | EN
    url = "/v1/bank-files"
    problem(await office.http.post(url, json={}, headers=operator), 415, "unsupported-media-type")
    large = await office.http.post(url, content=b" " * (MAX_BODY_BYTES + 1), headers=XML | operator)
    problem(large, 413, "too-large")
    hostile = file(head='<!DOCTYPE D [<!ENTITY x SYSTEM "file:///etc/hostname">]>')
    document = problem(await office.http.post(url, content=hostile, headers=XML | operator), 422, "validation-failed")
    assert document["errors"][0]["detail"] == "Expected XML without a DOCTYPE."
    strange = file(entry(payment(amount="geheim")))
    answer = await office.http.post(url, content=strange, headers=XML | operator)
    wrong = problem(answer, 422, "validation-failed")["errors"][0]
    assert wrong["pointer"] == "/Document/BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry/NtryDtls/TxDtls/Amt"
    assert "geheim" not in answer.text


async def test_staff_see_the_attempts_of_a_dossier(office: Office) -> None:
    """In pages, without the address of a payment page; a bill shows what stands on it."""
    first, session = await office.checkout()
    second, reference = await invoice(office)
    headers = office.bearer("caseworker")
    page = (await office.http.get("/v1/payments", params={"dossier": DOSSIER, "limit": 1}, headers=headers)).json()
    assert [shown["id"] for shown in page["items"]] == [first]
    assert page["items"][0]["provider_session"] == session
    assert "/pay/" not in str(page)
    params = {"dossier": DOSSIER, "limit": 1, "cursor": page["next"]}
    rest = (await office.http.get("/v1/payments", params=params, headers=headers)).json()
    assert rest["next"] is None
    assert [(shown["id"], shown["invoice"]["reference"]) for shown in rest["items"]] == [(second, reference)]
    assert rest["items"][0]["invoice"]["qr_iban"] == "CH4431999123000889012"
    other = await office.http.get("/v1/payments", params={"dossier": "dossier"}, headers=headers)
    assert other.json() == {"items": [], "next": None}


async def test_looking_up_is_for_staff(office: Office) -> None:
    """Citizens read through intake; unknown payments are 404, an impossible dossier 422."""
    asked = await office.request()
    url = f"/v1/payments/{asked}"
    assert (await office.http.get(url)).status_code == 401
    assert (await office.http.get(url, headers=office.bearer("citizen"))).status_code == 403
    assert (await office.http.get(url, headers=office.bearer("operator"))).status_code == 200
    problem(await office.http.get("/v1/payments/none:1", headers=office.bearer("operator")), 404, "not-found")
    answer = await office.http.get("/v1/payments", params={"dossier": "a:b"}, headers=office.bearer("operator"))
    problem(answer, 422, "validation-failed")


async def test_logs_hold_ids_only(office: Office) -> None:
    """Neither the payer's name in a bank file nor a key nor a page's address reaches a log."""
    with recorded_logs() as lines:
        _, reference = await invoice(office)
        await send(office, credit("B1", reference))
        await office.checkout()
    text = str(lines)
    assert lines
    for secret in ("Muster", "sk_test_key", "whsec_test", "/pay/", "CH93"):
        assert secret not in text


async def test_openapi_names_the_bodies(office: Office) -> None:
    """The description says that one route reads XML and lists the answers."""
    document = (await office.http.get("/openapi.json")).json()
    assert set(document["paths"]["/v1/bank-files"]["post"]["requestBody"]["content"]) == {"application/xml"}
    assert "BankFileAnswer" in document["components"]["schemas"]
