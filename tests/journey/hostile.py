"""What the hostile tests share: a town with dossiers to attack, bad requests as data, and what a good refusal is.

A refusal is complete problem details in the language asked for, with the status, type and field that were expected.
"""

import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

from deploy.local.journeys.crowd import residents
from deploy.local.journeys.town import Citizen, Town
from deploy.local.stack import Stack
from services.payments.views import SignatureInvalid
from shared.language import LANGUAGES, Language
from shared.web.problems import MEDIA_TYPE, TYPE_BASE, Problem

RESIDENCE: Final = "residence-certificate"
BANK: Final[Mapping[str, Any]] = {"purpose": "bank", "content": "simple"}
SLIP: Final[Mapping[str, Any]] = {"account": "fee", "count": 1}


@dataclass(frozen=True)
class Bad:
    """A request that must be refused. `path` may name `{own}`, `{other}`, `{done}`, `{review}`, `{document}`.

    `who` is the name of a token of the scene, or empty for nobody.
    """

    name: str
    status: int
    slug: str
    pointer: str | None = None
    method: str = "GET"
    path: str = "/v1/dossiers"
    who: str = "citizen"
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    role: str = "intake-api"

    def __str__(self) -> str:
        return self.name


@dataclass
class Scene:
    """Dossiers in states that invite attacks, and the tokens of all who try.

    `own` waits for consent and has a QR-bill, `other` is somebody else's, `done` is completed, `review` waits for the
    municipality's case workers although an agency takes part in it.
    """

    stack: Stack
    town: Town
    tokens: dict[str, str]
    people: list[dict[str, Any]]
    names: dict[str, str]

    def fill(self, text: str) -> str:
        """Put ids in the place of names."""
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    async def send(self, bad: Bad) -> httpx.Response:
        """Send the request once, in a language that its name picks."""
        headers = {"Accept-Language": language_of(bad), "Idempotency-Key": uuid4().hex, **bad.headers}
        if bad.who:
            headers.setdefault("Authorization", f"Bearer {self.tokens[bad.who]}")
        url = self.stack.url(bad.role) + self.fill(bad.path)
        # An empty value takes a header away.
        kept = [(name.encode(), self.fill(value).encode("latin-1")) for name, value in headers.items() if value]
        body: dict[str, Any] = {"content": bad.content} if bad.content is not None else {"json": bad.json}
        return await self.town.http.request(bad.method, url, headers=kept, **body)


_SET: dict[Path, Scene] = {}


@asynccontextmanager
async def scene_of(stack: Stack) -> AsyncIterator[Scene]:
    """Set the scene of a stack once, and enter it with a client of its own."""
    async with httpx.AsyncClient(timeout=20) as http:
        town = Town.of(stack, http)
        if stack.root not in _SET:
            people = await residents(town)
            _SET[stack.root] = Scene(stack, town, await _tokens(town, people), people, await _dossiers(town, people))
        yield replace(_SET[stack.root], town=town)


async def _tokens(town: Town, people: list[dict[str, Any]]) -> dict[str, str]:
    me, somebody = people[0]["sub"], people[1]["sub"]
    return {
        "citizen": await town.token(me, "citizen"),
        "stranger": await town.token(somebody, "citizen"),
        "nothing": await town.token(me),
        "caseworker": await town.token("case-worker", "caseworker"),
        "operator": await town.token("finance-office", "operator"),
        "agency": await town.token("debt-office-clerk", "agency", agency="debt-office"),
        "foreign": await town.token("foreign-clerk", "agency", agency="road-traffic-office"),
        "unnamed": await town.token("unnamed-clerk", "agency"),
    }


async def _dossiers(town: Town, people: list[dict[str, Any]]) -> dict[str, str]:
    own, other, done, review = (Citizen(town, people[index]) for index in (0, 1, 0, 0))
    await own.submit(RESIDENCE, BANK, payment_method="invoice")
    await other.submit(RESIDENCE, BANK, payment_method="card")
    await done.submit("payment-slips", SLIP)
    extract = {"purpose": "lease", "years": 3}
    await review.submit("debt-register-extract", extract, payment_method="card", official_name="Niemand")
    await own.payable()
    await own.until("consent_needed")
    await done.until("completed")
    await review.until("in_review")
    return {
        "own": own.dossier,
        "other": other.dossier,
        "done": done.dossier,
        "review": review.dossier,
        "document": done.seen["documents"][0]["id"],
    }


def language_of(bad: Bad) -> Language:
    """Return the language a request asks for: all four take their turns."""
    return LANGUAGES[zlib.crc32(bad.name.encode()) % len(LANGUAGES)]


def submission(**changed: Any) -> dict[str, Any]:
    """Return a healthy request for payment slips with these members changed; `...` takes a member away."""
    body: dict[str, Any] = {
        "service": "payment-slips",
        "person": {"official_name": "Muster", "first_name": "Lea", "date_of_birth": "1990-05-17"},
        "contact": {"email": "lea@example.ch"},
        "form": dict(SLIP),
    }
    for path, value in changed.items():
        *groups, name = path.split("__")
        target = body
        for group in groups:
            target = target[group]
        if value is ...:
            target.pop(name, None)
        else:
            target[name] = value
    return body


def _problems(kind: type[Problem]) -> dict[str, type[Problem]]:
    found = {kind.slug: kind}
    for child in kind.__subclasses__():
        found |= _problems(child)
    return found


PROBLEMS: Final[dict[str, type[Problem]]] = {**_problems(Problem), SignatureInvalid.slug: SignatureInvalid}


def wrong_with(bad: Bad, answer: httpx.Response) -> list[str]:
    """Return what is not as it must be: status, type, pointer, language, completeness."""
    what = f"{bad.name}: {answer.status_code} {answer.text[:300]}"
    if answer.headers.get("content-type") != MEDIA_TYPE:
        return [f"{what} is no problem document"]
    if bad.method == "HEAD":
        return [] if answer.status_code == bad.status else [what]
    found, language = answer.json(), language_of(bad)
    title = PROBLEMS[bad.slug].title[language]
    told = (answer.status_code, found["status"], found["type"], found["title"], answer.headers["content-language"])
    wrong = [] if told == (bad.status, bad.status, TYPE_BASE + bad.slug, title, language) else [what]
    errors = found.get("errors", [])
    if not found["instance"].startswith("urn:trace:"):
        wrong.append(f"{what} names no trace")
    if not all(error["detail"] and error["code"] and error["pointer"] is not None for error in errors):
        wrong.append(f"{what} has incomplete errors")
    if bad.pointer is not None and bad.pointer not in [error["pointer"] for error in errors]:
        wrong.append(f"{what} does not point to {bad.pointer}")
    return wrong
