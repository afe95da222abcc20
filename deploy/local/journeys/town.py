"""One client for everything a person or a bank does from outside: portal, case work, payment page, bank file.

Patient like a browser with a retry button: an absent or overloaded service is asked again with the same key.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from deploy.local.stack import Stack

HIGHEST: Final = "urn:qa.agov.ch:names:tc:ac:classes:400"
PATIENCE_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.2
_AGAIN: Final = frozenset({429, 502, 503, 504})


class JourneyError(AssertionError):
    """The system answered or did something else than the journey expects."""


@dataclass
class Town:
    """The addresses of one installation and the tokens of its people."""

    portal: str
    payments: str
    oidc: str
    psp: str
    register: str
    http: httpx.AsyncClient
    patience: float = PATIENCE_SECONDS
    poll_seconds: float = POLL_SECONDS
    _tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, stack: Stack, http: httpx.AsyncClient) -> Self:
        """Return the town of a local stack."""
        return cls(
            portal=stack.url("intake-api"),
            payments=stack.url("payments-api"),
            oidc=stack.url("oidc"),
            psp=stack.url("psp"),
            register=stack.url("register"),
            http=http,
        )

    async def people(self) -> list[dict[str, Any]]:
        """Return the invented residents."""
        persons: list[dict[str, Any]] = (await self.ask("GET", f"{self.register}/sandbox/persons"))["persons"]
        return persons

    async def token(self, subject: str, *scopes: str, agency: str | None = None) -> str:
        """Return an access token; the same for the same person and scopes."""
        name = f"{subject} {scopes} {agency}"
        if name not in self._tokens:
            body = {"sub": subject, "scopes": list(scopes), "acr": HIGHEST, "expires_in": 14_400}
            if agency:
                body["claims"] = {"agency": agency}
            answer = await self.ask("POST", f"{self.oidc}/sandbox/token", json=body)
            self._tokens[name] = answer["access_token"]
        return self._tokens[name]

    async def ask(self, method: str, url: str, token: str | None = None, **request: Any) -> Any:
        """Send a request until it is answered; return its JSON. Raises `JourneyError` for a refusal."""
        answer = await self.send(method, url, token, **request)
        if answer.status_code >= 400:
            raise JourneyError(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    async def send(self, method: str, url: str, token: str | None = None, **request: Any) -> httpx.Response:
        """Send a request until it is answered with anything but "come back later"; writes carry one key."""
        headers: dict[str, str] = dict(request.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if method == "POST":
            headers.setdefault("Idempotency-Key", uuid4().hex)
        until = time.monotonic() + self.patience
        while True:
            try:
                answer = await self.http.request(method, url, headers=headers, **request)
                if answer.status_code not in _AGAIN or time.monotonic() > until:
                    return answer
            except httpx.TransportError as error:
                if time.monotonic() > until:
                    raise JourneyError(f"{method} {url}: {type(error).__name__}") from error
            await asyncio.sleep(POLL_SECONDS)

    async def upload_bank_file(self, bookings: Sequence[tuple[str, int]]) -> Mapping[str, Any]:
        """Book payments by QR reference, as the bank's camt.054 file of a day; amounts in rappen."""
        token = await self.token("finance-office", "operator")
        headers = {"Content-Type": "application/xml"}
        url = f"{self.payments}/v1/bank-files"
        answer: Mapping[str, Any] = await self.ask("POST", url, token, content=camt054(bookings), headers=headers)
        return answer

    async def psp_session(self, page: str, action: str, body: Mapping[str, Any] | None = None) -> None:
        """Do something on the payment provider's page: pay, decline or abandon."""
        session = page.rpartition("/")[2]
        await self.ask("POST", f"{self.psp}/sandbox/sessions/{session}/{action}", json=dict(body or {}))


@dataclass
class Citizen:
    """A resident with one dossier."""

    town: Town
    person: Mapping[str, Any]
    dossier: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    async def token(self) -> str:
        """Return the resident's access token."""
        return await self.town.token(self.person["sub"], "citizen")

    async def submit(self, service: str, form: Mapping[str, Any], **more: Any) -> None:
        """Hand in a request."""
        body = {
            "service": service,
            "language": more.pop("language", "de"),
            "person": {
                "official_name": more.pop("official_name", self.person["officialName"]),
                "first_name": self.person["firstName"],
                "date_of_birth": self.person["dateOfBirth"],
                "ahv": self.person["vn_formatted"],
            },
            "contact": {"email": self.person["email"]},
            "form": dict(form),
            **more,
        }
        self.seen = await self.town.ask("POST", f"{self.town.portal}/v1/dossiers", await self.token(), json=body)
        self.dossier = self.seen["id"]

    async def look(self) -> dict[str, Any]:
        """Return the dossier as it is now."""
        self.seen = await self.get("")
        return self.seen

    async def get(self, path: str) -> Any:
        """Read something of the dossier."""
        url = f"{self.town.portal}/v1/dossiers/{self.dossier}{path}"
        return await self.town.ask("GET", url, await self.token())

    async def act(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Do something with the dossier."""
        url = f"{self.town.portal}/v1/dossiers/{self.dossier}{path}"
        request = {"json": dict(body)} if body is not None else {}
        self.seen = await self.town.ask("POST", url, await self.token(), **request)
        return self.seen

    async def until(self, *codes: str) -> str:
        """Wait for one of these public statuses and return it. Raises `JourneyError` if another ending comes."""
        deadline = time.monotonic() + self.town.patience
        while True:
            status: str = (await self.look())["status"]["code"]
            if status in codes:
                return status
            if self.seen["ending"] is not None or time.monotonic() > deadline:
                raise JourneyError(f"dossier {self.dossier} is {status}, expected {' or '.join(codes)}")
            await asyncio.sleep(self.town.poll_seconds)

    async def payable(self, *, other_than: str | None = None) -> str:
        """Wait for a payment page (another than the given one) or a QR-bill and return its address."""
        deadline = time.monotonic() + self.town.patience
        while time.monotonic() < deadline:
            payment = (await self.look())["payment"]
            address: str | None = payment["url"] or payment["bill"]
            if address and address != other_than:
                return address
            await asyncio.sleep(self.town.poll_seconds)
        raise JourneyError(f"dossier {self.dossier} never became payable")

    async def reference(self) -> str:
        """Return the QR reference of the bill, from the timeline."""
        entries = await self.get("/timeline")
        found = [entry["data"]["reference"] for entry in entries if entry["data"].get("reference")]
        return str(found[-1])

    async def reviewed(self, outcome: str, *, agency: str | None = None) -> None:
        """Let a case worker, or an agency, answer the review that is open."""
        await self.until("in_review")
        scope, name = ("agency", f"{agency}-clerk") if agency else ("caseworker", "case-worker")
        token = await self.town.token(name, scope, agency=agency)
        step = next(entry["data"]["step"] for entry in reversed(await self.get("/timeline")) if _asks_review(entry))
        url = f"{self.town.portal}/v1/dossiers/{self.dossier}/decisions"
        await self.town.ask("POST", url, token, json={"step": step, "outcome": outcome, "reasons": ["seen"]})


def _asks_review(entry: Mapping[str, Any]) -> bool:
    return bool(entry["event"] == "review_requested")


def camt054(bookings: Sequence[tuple[str, int]]) -> bytes:
    """Return a camt.054.001.08 credit notification for (QR reference, rappen) pairs."""
    entries = "".join(
        f"<TxDtls><Refs><AcctSvcrRef>{uuid4().hex[:30]}</AcctSvcrRef></Refs>"
        f'<Amt Ccy="CHF">{rappen / 100:.2f}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        "<RmtInf><Strd><CdtrRefInf><Tp><CdOrPrtry><Prtry>QRR</Prtry></CdOrPrtry></Tp>"
        f"<Ref>{reference}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>"
        for reference, rappen in bookings
    )
    total = sum(rappen for _, rappen in bookings) / 100
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"><BkToCstmrDbtCdtNtfctn><Ntfctn>'
        "<Acct><Id><IBAN>CH4431999123000889012</IBAN></Id></Acct>"
        f'<Ntry><Amt Ccy="CHF">{total:.2f}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<NtryDtls>{entries}</NtryDtls></Ntry></Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
    ).encode()
