"""Webhooks and bank files that are not what they say: forged, stale, tampered, foreign, explosive, repeated."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import pytest

from deploy.local.journeys.town import Citizen, camt054
from deploy.local.stack import Stack
from tests.journey.hostile import Bad, Scene, scene_of, wrong_with

WEBHOOK: Final = "/v1/webhooks/stripe"
BANK_FILES: Final = "/v1/bank-files"
JSON: Final = {"Content-Type": "application/json"}
XML: Final = {"Content-Type": "application/xml"}
UNKNOWN_REFERENCE: Final = "210000000003139471430009017"
ENTITY: Final = b'<!DOCTYPE d [%s]><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08">&x;</Document>'
LAUGHS: Final = b'<!ENTITY a0 "ha">' + b"".join(
    b'<!ENTITY %s "%s">' % (b"x" if level == 30 else b"a%d" % level, b"&a%d;" % (level - 1) * 10)
    for level in range(1, 31)
)


def _event(**changed: Any) -> bytes:
    session = {"object": "checkout.session", "id": "cs_test_1", "client_reference_id": f"{'0' * 26}:4"}
    paid = {"status": "complete", "payment_status": "paid", "amount_total": 1000, "currency": "chf"}
    event = {"id": "evt_1", "object": "event", "type": "checkout.session.completed", "data": {"object": session | paid}}
    return json.dumps(event | changed).encode()


def _signature(stack: Stack, body: bytes, *, age: int = 0, secret: str | None = None) -> str:
    known = secret or stack.env_for("payments-api")["STRIPE_WEBHOOK_SECRET"]
    at = int(time.time()) - age
    return f"t={at},v1={hmac.new(known.encode(), f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


FORGERIES: Final[Mapping[str, Callable[[Stack, bytes], str]]] = {
    "unsigned": lambda _stack, _body: "",
    "signed with a guess": lambda stack, body: _signature(stack, body, secret="whsec_guess"),
    "signed an hour ago": lambda stack, body: _signature(stack, body, age=3600),
    "signed tomorrow": lambda stack, body: _signature(stack, body, age=-86_400),
    "tampered": lambda stack, body: _signature(stack, body + b" "),
    "signed in another scheme": lambda stack, body: _signature(stack, body).replace("v1=", "v0="),
    "signed without a time": lambda stack, body: _signature(stack, body).partition(",")[2],
    "signed at no time": lambda _stack, _body: "t=now,v1=" + "0" * 64,
    "signed in nonsense": lambda _stack, _body: ",,=,t,v1",
    "signed in Latin-1": lambda _stack, _body: "t=1,v1=ä",
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_forged_webhooks_are_refused(stack: Stack, forgery: str) -> None:
    """Only what was signed with our secret, over these bytes and just now, is read."""
    async with scene_of(stack) as scene:
        body = _event()
        headers = {**JSON, "Stripe-Signature": FORGERIES[forgery](stack, body)}
        bad = Bad(forgery, 400, "signature-invalid", None, "POST", WEBHOOK, "", None, body, headers, "payments-api")
        answer = await scene.send(bad)
        assert answer.status_code < 500
        if forgery == "signed tomorrow":
            # Stripe's library checks the age only; a time to come needs the secret all the same.
            assert answer.json() == {"outcome": "unknown_payment"}
        else:
            assert wrong_with(bad, answer) == []


def _session(**members: Any) -> dict[str, Any]:
    return {"data": {"object": {"object": "checkout.session", "id": "cs_1", "client_reference_id": "a:1", **members}}}


def _refusal(**members: Any) -> dict[str, Any]:
    intent = {"object": "payment_intent", "id": "pi_1", "metadata": {"payment": "a:1"}, **members}
    return {"type": "payment_intent.payment_failed", "data": {"object": intent}}


STRANGE: Final[Mapping[str, dict[str, Any]]] = {
    "unknown payment": {},
    "unknown type": {"type": "customer.created", "data": {"object": {"object": "customer", "id": "cus_1"}}},
    "no data": {"data": None},
    "no id": {"id": None},
    "a list for an object": {"data": {"object": []}},
    "payment asks the database": _session(client_reference_id={"$gt": ""}),
    "payment with dots and dollars": _session(client_reference_id="a.$b\0"),
    "half a surrogate": _session(client_reference_id="\ud800"),
    "amount is a text": _session(amount_total="x"),
    "currency is a number": _session(currency=7),
    "session without an id": _session(id=None),
    "a bare session": {"data": {"object": {"object": "checkout.session", "client_reference_id": "a:1"}}},
    "true for an amount": _session(amount_total=True),
    "refusal without metadata": _refusal(metadata=None),
    "refusal for a strange reason": _refusal(last_payment_error={"code": {"$gt": 1}}),
}


@pytest.mark.parametrize("strange", STRANGE)
async def test_strange_webhooks_change_nothing(stack: Stack, strange: str) -> None:
    """A signed event that nobody can use is taken and forgotten, never a 5xx: Stripe would repeat it for days."""
    async with scene_of(stack) as scene:
        answer = await _signed(scene, _event(**STRANGE[strange]))
        assert answer.status_code == 200, answer.text
        assert answer.json()["outcome"] in ("unknown_payment", "ignored")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"{" * 5000, b'"text"', b"[" * 100_000])
async def test_signed_nonsense_is_refused(stack: Stack, body: bytes) -> None:
    """A signature does not make nonsense an event."""
    async with scene_of(stack) as scene:
        assert (await _signed(scene, body)).status_code == 400


async def _signed(scene: Scene, body: bytes) -> httpx.Response:
    headers = {**JSON, "Stripe-Signature": _signature(scene.stack, body)}
    return await scene.town.http.post(scene.town.payments + WEBHOOK, content=body, headers=headers)


def _file(name: str, content: bytes, pointer: str = "", status: int = 422, slug: str = "validation-failed") -> Bad:
    return Bad(name, status, slug, pointer, "POST", BANK_FILES, "operator", None, content, XML, "payments-api")


def _changed(old: str, new: str) -> bytes:
    return camt054([(UNKNOWN_REFERENCE, 1000)]).replace(old.encode(), new.encode())


_PAYMENT: Final = "/Document/BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry/NtryDtls/TxDtls"
FILES: Final = (
    _file("no XML", b"Bank: 1000 francs"),
    _file("empty", b""),
    _file("half a file", camt054([(UNKNOWN_REFERENCE, 1000)])[:400]),
    _file("reads our files", ENTITY % b'<!ENTITY x SYSTEM "file:///etc/passwd">'),
    _file("asks the network", ENTITY % b'<!ENTITY x SYSTEM "http://127.0.0.1:1/x">'),
    _file("billion laughs", ENTITY % LAUGHS),
    _file("only a DOCTYPE", b"<!DOCTYPE Document>" + camt054([]).partition(b"?>")[2]),
    _file("of an unknown encoding", _changed("UTF-8", "x-nobody")),
    _file("with a zero byte", _changed("CRDT", "CR\0DT")),
    _file("nested 100000 times", b"<a>" * 100_000),
    _file("of another version", _changed("camt.054.001.08", "camt.054.001.02"), "/Document"),
    _file("a statement", _changed("camt.054.001.08", "camt.053.001.08"), "/Document"),
    _file("without a namespace", _changed(' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"', ""), "/Document"),
    _file("without notifications", b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"/>', "/Document"),
    _file("without an account", _changed("IBAN>", "Nope>"), "/Document/BkToCstmrDbtCdtNtfctn/Ntfctn/Acct/Id"),
    _file("of an endless account", _changed("CH44", "CH44" * 5000), "/Document/BkToCstmrDbtCdtNtfctn/Ntfctn/Acct/Id"),
    _file("without the bank's reference", _changed("AcctSvcrRef", "InstrId"), f"{_PAYMENT}/Refs/AcctSvcrRef"),
    _file("with a negative amount", _changed("10.00", "-10.00"), f"{_PAYMENT}/Amt"),
    _file("with half a rappen", _changed("10.00", "10.005"), f"{_PAYMENT}/Amt"),
    _file("with an exponent", _changed("10.00", "1e3"), f"{_PAYMENT}/Amt"),
    _file("with an endless amount", _changed("10.00", "9" * 40), f"{_PAYMENT}/Amt"),
    _file("in Arabic digits", _changed("10.00", "١٠.٠٠"), f"{_PAYMENT}/Amt"),
    Bad("as JSON", 415, "unsupported-media-type", None, "POST", BANK_FILES, "operator", {}, None, {}, "payments-api"),
    Bad("too large", 413, "too-large", None, "POST", BANK_FILES, "operator", None, b" " * (2**20 + 1), XML,
        "payments-api"),
)  # fmt: skip


@pytest.mark.parametrize("bad", FILES, ids=str)
async def test_bad_bank_files_book_nothing(stack: Stack, bad: Bad) -> None:
    """Refused as a whole, with a pointer to what is wrong; nothing outside of the file is read."""
    async with scene_of(stack) as scene:
        answer = await scene.send(bad)
        assert wrong_with(bad, answer) == []
        assert "root:" not in answer.text


async def test_strange_credits_are_told_apart(stack: Stack) -> None:
    """A reference nobody issued, francs of another country, too little: told as such, and nothing is booked twice."""
    async with scene_of(stack) as scene:
        own = await _reference(scene)
        for content, outcome in (
            (camt054([(UNKNOWN_REFERENCE, 1000)]), "unmatched"),
            (camt054([("'; DROP TABLE payments; --", 1000)]), "unmatched"),
            (camt054([("$ne", 1000)]), "unmatched"),
            (camt054([(own, 1000)]).replace(b'Ccy="CHF"', b'Ccy="EUR"'), "unmatched"),
            (short := camt054([(own, 5)]), "underpaid"),
            (short, "underpaid"),
            (camt054([(own, 0)]), "underpaid"),
        ):
            bad = _file(outcome, content)
            answer = await scene.send(bad)
            assert answer.status_code == 200
            assert [entry["outcome"] for entry in answer.json()["entries"]] == [outcome]


async def test_a_credit_told_twice_is_booked_once(stack: Stack) -> None:
    """The same entry twice in one file, and the file again: one payment, the rest are duplicates."""
    async with scene_of(stack) as scene:
        once = camt054([(await _reference(scene, new=True), 1000)])
        start, end = once.index(b"<TxDtls>"), once.index(b"</TxDtls>") + len(b"</TxDtls>")
        twice = once[:end] + once[start:end] + once[end:]
        for expected in (["matched", "duplicate"], ["duplicate", "duplicate"]):
            answer = await scene.send(_file("twice", twice))
            assert [entry["outcome"] for entry in answer.json()["entries"]] == expected


async def _reference(scene: Scene, *, new: bool = False) -> str:
    citizen = Citizen(scene.town, scene.people[0], scene.names["own"])
    if new:
        form = {"purpose": "bank", "content": "simple"}
        await citizen.submit("residence-certificate", form, payment_method="invoice")
        await citizen.payable()
    return await citizen.reference()
