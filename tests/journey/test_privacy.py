"""No personal value that was handed in, or fetched from a register, can be read anywhere; erased keys erase it."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx

from deploy.local.journeys.crowd import residents
from deploy.local.journeys.town import Citizen, Town, camt054
from deploy.local.roles import ROLES
from deploy.local.sandbox.people import Person
from deploy.local.sandbox.people import residents as registered
from deploy.local.stack import Stack
from shared.environment import SystemEnvironment
from shared.store.mongo import connect
from shared.store.small import MongoKeyStore
from shared.vault import Vault
from tests.journey.privacy import Search, Text, everything, unsealed_fields

CARD: Final = {"card": "4242424242424242"}
EMAIL: Final = "quitte.zitronenfalter@geheimfach.example"
CALLED: Final = "Quittengelee Zitronenfalter"
ADDRESSEE: Final = "Sparkasse Hinterpfupfikon"
FORMER: Final = "Mirabellenstieg 77, 9999 Nirgendwil"
WRONG_NAME: Final = "Wolkenkratzerin"
PAYER: Final = "Rosalinde Goldregen-Zahlerin"
OWN: Final = (EMAIL, CALLED, ADDRESSEE, FORMER, WRONG_NAME, PAYER, "Zitronenfalter", "Mirabellenstieg")
PATIENCE_SECONDS: Final = 60.0
WHERE: Final = frozenset(
    {
        "spans",
        "topic intake.events",
        "topic identity.events",
        "topic payments.events",
        "topic notifications.events",
        "topic agency.debt-office.events",
        "topic analytics-dossiers-changelog",
        "collection intake.dossiers",
        "collection intake.reads",
        "collection identity.checks",
        "collection payments.payments",
        "collection notifications.messages",
        *(f"log {role}.log" for role in ROLES),
        *(f"metrics of {role}" for role in ROLES),
        "answer 422",
    }
)


@dataclass
class Played:
    """What the test did: the dossiers by journey, every refusal, and who took part."""

    dossiers: dict[str, str] = field(default_factory=dict)
    refusals: list[httpx.Response] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)

    def search(self) -> Search:
        """Return the search for everything personal of these people and of what they wrote."""
        values = list(OWN)
        for person in self.people:
            home, before = person.address, person.previous_address
            values += [person.official_name, person.first_name, person.date_of_birth, person.formatted_vn]
            values += [f"{home.street} {home.house_number}", home.street, f"{before.street} {before.house_number}"]
            values += [f"person-{person.local_person_id}", f"{person.first_name} {person.official_name}"]
        numbers = [debt.amount_rappen for person in self.people for debt in person.debts]
        return Search(values, numbers + [int(person.local_person_id) for person in self.people])


async def _cast(town: Town) -> list[dict[str, Any]]:
    """Choose one resident with debts and one without, whose names are no words of a program."""
    people = [one for one in await residents(town) if len(one["officialName"]) > 6 and len(one["firstName"]) > 4]
    return [next(one for one in people if one["has_debts"] is debts) for debts in (False, True)]


def _citizen(town: Town, person: dict[str, Any]) -> Citizen:
    return Citizen(town, {**person, "email": EMAIL})


async def _residence(citizen: Citizen, **more: Any) -> None:
    form = {"purpose": "other", "content": "with_civil_status", "addressee": ADDRESSEE}
    contact = {"email": EMAIL, "name": CALLED}
    await citizen.submit("residence-certificate", form, contact=contact, payment_method="card", **more)


async def _completed(citizen: Citizen) -> None:
    await _residence(citizen, consents=["residence"])
    await citizen.town.psp_session(await citizen.payable(), "pay", CARD)
    await citizen.until("evidence_ready")
    await citizen.get("/evidence/residence")
    await citizen.act("/evidence/residence", {"accepted": True})
    await citizen.until("completed")


async def _reviewed_debts(citizen: Citizen) -> None:
    form = {"purpose": "loan", "years": 5, "previous_addresses": [FORMER]}
    await citizen.submit("debt-register-extract", form, consents=["debts"], payment_method="invoice")
    await citizen.payable()
    booked = camt054([(await citizen.reference(), citizen.seen["payment"]["amount"])])
    payer = f"<RltdPties><Dbtr><Pty><Nm>{PAYER}</Nm></Pty></Dbtr></RltdPties>".encode()
    token = await citizen.town.token("finance-office", "operator")
    content = booked.replace(b"<RmtInf>", payer + b"<RmtInf><Ustrd>" + PAYER.encode() + b"</Ustrd>")
    url, headers = f"{citizen.town.payments}/v1/bank-files", {"Content-Type": "application/xml"}
    await citizen.town.ask("POST", url, token, content=content, headers=headers)
    await citizen.until("evidence_ready")
    await citizen.act("/evidence/debts", {"accepted": True})
    await citizen.until("in_review")
    clerk = await citizen.town.token("debt-office-clerk", "agency", agency="debt-office")
    await citizen.town.ask("GET", f"{citizen.town.portal}/v1/dossiers/{citizen.dossier}/details", clerk)
    await citizen.reviewed("refused", agency="debt-office")
    await citizen.until("refused")


async def _slips(citizen: Citizen) -> None:
    await citizen.submit("payment-slips", {"account": "fee", "count": 2, "amount_rappen": 7_654_320})
    await citizen.until("completed")


async def _mismatched(citizen: Citizen) -> None:
    await _residence(citizen, official_name=WRONG_NAME)
    await citizen.until("in_review")
    worker = await citizen.town.token("case-worker", "caseworker")
    await citizen.town.ask("GET", f"{citizen.town.portal}/v1/dossiers/{citizen.dossier}/details", worker)
    await citizen.reviewed("refused")
    await citizen.until("refused")


async def _withdrawn(citizen: Citizen) -> None:
    await _residence(citizen, consents=["residence"])
    await citizen.town.psp_session(await citizen.payable(), "decline")
    await citizen.until("evidence_ready")
    await citizen.act("/withdrawal")
    await citizen.until("withdrawn")


JOURNEYS: Final = {
    "completed": _completed,
    "debts": _reviewed_debts,
    "slips": _slips,
    "mismatched": _mismatched,
    "withdrawn": _withdrawn,
}


async def _bad_inputs(town: Town, person: dict[str, Any]) -> list[httpx.Response]:
    """Put personal values where they do not belong; return the refusals."""
    token = await town.token(person["sub"], "citizen")
    base, name, ahv = f"{town.portal}/v1/dossiers", person["officialName"], person["vn_formatted"]
    good = {"official_name": name, "first_name": person["firstName"], "date_of_birth": person["dateOfBirth"]}
    body = {
        "service": "payment-slips",
        "person": good,
        "contact": {"email": EMAIL},
        "form": {"account": "fee", "count": 1},
    }
    bodies: list[Any] = [
        {**body, "service": name},
        {**body, "language": ahv},
        {**body, "consents": [EMAIL]},
        {**body, "person": {**good, "ahv": ahv[:-1] + "x"}},
        {**body, "person": {**good, "date_of_birth": f"{person['dateOfBirth']}!"}},
        {**body, "person": {**good, EMAIL: name}},
        {**body, "contact": {"email": f"{EMAIL} {name}"}},
        {**body, "form": {"account": ADDRESSEE, "count": ahv, FORMER: FORMER}},
        [name, ahv, EMAIL],
    ]
    nobody = "0" * 26
    paths = (f"/{EMAIL}", f"?cursor={EMAIL}", f"?limit={ahv}", f"/{nobody}/documents/{name}", f"/{name}/timeline")
    told = {"Accept-Language": name, "User-Agent": EMAIL, "traceparent": ahv, "baggage": f"who={EMAIL}"}
    hook = f"{town.payments}/v1/webhooks/stripe"
    kind = {"Content-Type": "application/json"}
    return [
        *[await town.send("POST", base, token, json=one) for one in bodies],
        *[await town.send("GET", base + path, token) for path in paths],
        await town.send("POST", base, token, content=f'{{"person": "{name}", '.encode(), headers=kind),
        await town.send("POST", hook, content=f'{{"customer_email": "{EMAIL}"}}'.encode(), headers=kind),
        await town.send("GET", base, EMAIL, headers={**told, "If-Match": ahv}),
    ]


async def _play(town: Town) -> Played:
    clean, indebted = await _cast(town)
    by_id = {person.local_person_id: person for person in registered()}
    played = Played(people=[by_id[one["localPersonId"]] for one in (clean, indebted)])
    citizens = {name: _citizen(town, indebted if name == "debts" else clean) for name in JOURNEYS}
    await asyncio.gather(*(JOURNEYS[name](citizen) for name, citizen in citizens.items()))
    played.dossiers = {name: citizen.dossier for name, citizen in citizens.items()}
    played.refusals = await _bad_inputs(town, clean)
    return played


async def test_nothing_personal_can_be_read_anywhere(stack: Stack, town: Town) -> None:
    """No topic, document, log, metric, span or refusal holds a value of the applicants in any spelling."""
    played = await _play(town)
    assert {answer.status_code // 100 for answer in played.refusals} == {4}
    search, seen, hits = played.search(), set[str](), list[str]()
    dossier = played.dossiers["debts"].encode()
    async for text in everything(stack, played.refusals):
        hits += search.hits(text)
        if text.place.startswith(("topic", "collection")):
            hits += unsealed_fields(text)
        if dossier in text.content or text.place.startswith(("log", "metrics", "answer")):
            seen.add(text.place)
    assert sorted(set(hits)) == []
    # The search looked where the dossiers are, and would have found what it looks for.
    assert seen >= WHERE
    sample = (await town.http.get(f"{stack.url('mail')}/sandbox/messages?limit=1000")).content
    assert search.hits(Text("mails", sample))


def test_the_search_knows_every_spelling() -> None:
    """A value is found in other case, escaped, in base64 at any place, in hexadecimal, and without its dots."""
    search = Search(["Šimić-Rüegg", "756.9217.0769.85", "1990-05-17"], [184_350])
    written = [f"x{'y' * shift}Šimić-Rüegg z".encode() for shift in range(3)]
    for content in (
        "name=ŠIMIĆ-RÜEGG".encode(),
        json.dumps("Šimić-Rüegg").encode(),
        quote("Šimić-Rüegg").encode(),
        *(base64.b64encode(one) for one in written),
        *(base64.urlsafe_b64encode(one) for one in written),
        b"7569217076985",
        b"7569217076985".hex().encode(),
        b"born 17.05.1990",
        b'{"amount": 184350}',
    ):
        assert search.hits(Text("here", content)), content
    assert search.hits(Text("here", b"1843501 and 756921707698 and 1990-05-18")) == []


async def _erase(stack: Stack, dossier: str) -> None:
    async with connect(stack.mongo_uri("vault")) as database:
        await Vault(MongoKeyStore(database), {}, SystemEnvironment()).erase(dossier)


async def _gone(citizen: Citizen, path: str) -> httpx.Response:
    """Ask until processes have forgotten the keys that they held, which they may for half a minute."""
    url, token = f"{citizen.town.portal}/v1/dossiers/{citizen.dossier}{path}", await citizen.token()
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = await citizen.town.send("GET", url, token)
        if not answer.is_success or time.monotonic() > until:
            return answer
        await asyncio.sleep(0.5)


async def test_erased_keys_erase_what_they_sealed(stack: Stack, town: Town) -> None:
    """Evidence and documents are gone (410), what is under way ends by hand, and nothing is dead-lettered."""
    person = (await _cast(town))[0]
    done, waiting = _citizen(town, person), _citizen(town, person)
    await _completed(done)
    await _residence(waiting, consents=["residence"])
    await waiting.until("evidence_ready")
    for citizen in (done, waiting):
        await _erase(stack, citizen.dossier)
    document = f"/documents/{done.seen['documents'][0]['id']}"
    for citizen, path in ((done, document), (waiting, "/evidence/residence")):
        answer = await _gone(citizen, path)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (410, "gone")
    await waiting.act("/evidence/residence", {"accepted": True})
    await town.psp_session(await waiting.payable(), "pay", CARD)
    await waiting.reviewed("refused")
    await waiting.until("refused")
    await _no_dead_letters(stack, {done.dossier, waiting.dossier})


async def test_a_repeated_submission_of_an_erased_dossier_is_gone(stack: Stack, town: Town) -> None:
    """The same key and body after the erasure make no new dossier and no new keys."""
    person = (await _cast(town))[0]
    token, key = await town.token(person["sub"], "citizen"), uuid4().hex
    body = {
        "service": "payment-slips",
        "person": {"official_name": "Muster", "first_name": "Lea", "date_of_birth": "1990-05-17"},
        "contact": {"email": EMAIL},
        "form": {"account": "fee", "count": 1},
    }
    url, headers = f"{town.portal}/v1/dossiers", {"Idempotency-Key": key}
    first = await town.send("POST", url, token, json=body, headers=headers)
    await _erase(stack, first.json()["id"])
    again = await town.send("POST", url, token, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 410)


async def _no_dead_letters(stack: Stack, dossiers: set[str]) -> None:
    for service in ("intake", "identity", "payments", "notifications", "analytics"):
        async with connect(stack.mongo_uri(service)) as database:
            marked = {marker["key"] async for marker in database["dead_letters"].find({})}
        assert not marked & dossiers, service
