"""Dead letters as operators treat them: looking, handling again by selection, discarding, and the log of it all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI

from shared.contracts.topics import IDENTITY_EVENTS
from shared.dead_letters import DeadLetters, NotHeld, Selection
from shared.errors import Permanent, StorageUnavailable
from shared.redrive import Redriven
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.web import KEY, connected, problem, settings
from shared.web.app import create_app
from shared.web.operations import routes
from tests.unit.consumer_office import GROUP, MemoryLetters, Reader, raw

D1 = Selection(frozenset({"d1"}))


@dataclass
class MemoryLog:
    """The log of deeds in memory."""

    deeds: list[dict[str, Any]] = field(default_factory=list)

    async def begin(self, who: str, what: str, target: Mapping[str, Any], reason: str) -> str:
        """Note it."""
        note = f"{len(self.deeds):06d}"
        common = {"_id": note, "at": "2026-11-21T20:00:00.000Z", "who": who, "what": what}
        self.deeds.append({**common, "target": dict(target), "reason": reason})
        return note

    async def end(self, note: str, outcome: Mapping[str, Any]) -> None:
        """Add its outcome."""
        self.deeds[int(note)].update(outcome=list(outcome.items()), ended="2026-11-21T20:00:01.000Z")

    async def page(self, before: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest first."""
        found = [deed for deed in reversed(self.deeds) if before is None or deed["_id"] < before]
        return found[:limit]


class Office:
    """A group of which d1's first event is poison and d2's too; d1 has two more events behind it."""

    def __init__(self) -> None:
        self.reader, self.log = Reader(), MemoryLog()
        self.letters = MemoryLetters(self.reader)
        self.dead = DeadLetters(
            self.reader.markers, self.letters, self.reader.broker, self.log, self.reader.environment
        )

    async def open(self) -> "Office":
        """Let the poison arrive."""
        self.reader.desk.broken |= {"d1:2:1", "d2:2:1"}
        await self.reader.send(("d1:2", 1), ("d1:2", 2), ("d1:7", 1), ("d2:2", 1), ("d3:2", 1))
        while await self.reader.read():
            pass
        return self


@pytest.fixture
async def office() -> Office:
    """Two dossiers are held, a third one went through."""
    return await Office().open()


async def test_it_is_told_what_failed_and_what_waits_behind(office: Office) -> None:
    """Who, why, how often, since when; the letters in the order in which they will be handled."""
    held, letters = await office.dead.show(GROUP, "d1")
    assert (held.event, held.reason, held.attempts, held.waiting) == ("d1:2:1", "ValueError", 1, 3)
    assert [letter.id for letter in letters] == ["d1:2:1", "d1:2:2", "d1:7:1"]
    assert [letter.reason for letter in letters][1:] == ["an earlier event of this dossier waits"] * 2
    assert all(letter.at >= held.since and letter.origin.startswith(IDENTITY_EVENTS) for letter in letters)
    with pytest.raises(NotHeld):
        await office.dead.show(GROUP, "d3")


async def test_a_failed_redrive_is_counted(office: Office) -> None:
    """Each attempt that fails again is one more; since when stays."""
    before = (await office.dead.held(GROUP, D1))[0]
    assert [one.ending for one in await office.dead.redrive(GROUP, D1, "ops")] == ["failed_again"]
    after = (await office.dead.held(GROUP, D1))[0]
    assert (after.attempts, after.since, after.event) == (2, before.since, "d1:2:1")
    assert [letter.id for letter in (await office.dead.show(GROUP, "d1"))[1]] == ["d1:2:1", "d1:2:2", "d1:7:1"]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["d1", "d2"]),
        (Selection(frozenset({"d2:2:1"})), ["d2"]),
        (Selection(reason="valueerror"), ["d1", "d2"]),
        (Selection(reason="KeyError"), []),
        (Selection(until="2000-01-01T00:00:00Z"), []),
        (Selection(since="2000-01-01T00:00:00+01:00"), ["d1", "d2"]),
    ],
)
async def test_redriving_goes_by_id_reason_and_time(office: Office, selection: Selection, expected: list[str]) -> None:
    """Only what was selected is handled again, the oldest first; what was selected is told before."""
    assert [one.dossier for one in await office.dead.held(GROUP, selection)] == expected
    office.reader.desk.broken.clear()
    done = await office.dead.redrive(GROUP, selection, "ops")
    assert [(one.key, one.ending) for one in done] == [(dossier, "handled") for dossier in expected]
    assert {one.dossier for one in await office.dead.held(GROUP)} == {"d1", "d2"} - set(expected)


async def test_a_discarded_event_is_never_handled_and_those_behind_it_go_on(office: Office) -> None:
    """Also when it comes again by another way, to another member; the dossier is held no more."""
    assert await office.dead.discard(GROUP, "d1", "d1:2:1", "forged", "ops") == Redriven(GROUP, "d1", 3, "handled")
    assert office.reader.desk.handled == ["d3:2:1", "d1:2:2", "d1:7:1"]
    other = office.reader.another()
    await other.send(("d1:2", 1), ("d1:2", 2))
    await other.read()
    assert other.desk.handled == ["d1:2:2"]
    assert [one.dossier for one in await office.dead.held(GROUP)] == ["d2"]


async def test_only_what_is_held_can_be_discarded(office: Office) -> None:
    """Neither an event of a dossier that is not held, nor one that was not set aside; nothing is noted."""
    for dossier, event in (("d3", "d3:2:1"), ("d1", "d1:9:9")):
        with pytest.raises(NotHeld):
            await office.dead.discard(GROUP, dossier, event, "why not", "ops")
    assert office.log.deeds == []


async def test_every_deed_is_noted_before_it_is_done(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who, what, why, and what became of it; a deed that broke off stands there without an outcome."""
    await office.dead.discard(GROUP, "d1", "d1:2:1", "forged", "ops")

    async def away(*_: object) -> None:
        raise StorageUnavailable("test")

    monkeypatch.setattr(office.reader.markers, "discard", away)
    with pytest.raises(StorageUnavailable):
        await office.dead.discard(GROUP, "d2", "d2:2:1", "forged too", "ops")
    first, broken_off = office.log.deeds
    assert (first["who"], first["what"], first["reason"]) == ("ops", "discard", "forged")
    assert first["target"] == {"group": GROUP, "dossier": "d1", "event": "d1:2:1"}
    assert first["outcome"] == [("d1", "handled")]
    assert (broken_off["target"]["dossier"], "outcome" in broken_off) == ("d2", False)


async def test_a_redrive_that_finds_nothing_has_ended(office: Office) -> None:
    """The deed stands there with its end, so that nobody takes it for one that broke off."""
    assert await office.dead.redrive(GROUP, Selection(reason="KeyError"), "ops") == []
    (deed,) = office.log.deeds
    assert (deed["target"]["dossiers"], deed["outcome"]) == ([], [(GROUP, "nothing to redrive")])


async def test_unreadable_records_can_be_sent_again_or_listed_no_more(office: Office) -> None:
    """They hold nobody up, so there is no order to keep; each is named by where it lay."""
    await office.reader.put(raw({"ce_id": None}, key=b"d9"))
    await office.reader.read()
    origin = (await office.dead.unreadable(GROUP))[0].origin
    await office.dead.redrive_unreadable(GROUP, origin, "ops")
    assert await office.dead.unreadable(GROUP) == []
    await office.reader.read()
    again = (await office.dead.unreadable(GROUP))[0].origin
    assert again != origin
    await office.dead.discard_unreadable(GROUP, again, "noise", "ops")
    assert await office.dead.unreadable(GROUP) == []
    with pytest.raises(Permanent):
        await office.dead.discard_unreadable(GROUP, again, "noise", "ops")


class Counter:
    """The operators' API over an office."""

    def __init__(self, office: Office) -> None:
        self.issuer = FakeIssuer(FakeEnvironment())
        self.app: FastAPI = create_app("Test", "test", settings=settings(), verifier=self.issuer.verifier())
        self.app.include_router(routes(office.dead, (GROUP,), KEY))

    def as_(self, *scopes: str) -> dict[str, str]:
        """Headers of a caller."""
        return {"Authorization": f"Bearer {self.issuer.token('olga', scopes)}"}


async def test_the_api_lists_shows_redrives_and_discards(office: Office) -> None:
    """What the command can do, for callers with the scope `operations`, noted under their name."""
    counter = Counter(office)
    base, ours = f"/v1/operations/dead-letters/{GROUP}", counter.as_("operations")
    async with connected(counter.app) as http:
        first = (await http.get(base, params={"limit": 1}, headers=ours)).json()
        rest = (await http.get(base, params={"cursor": first["next"]}, headers=ours)).json()
        assert [one["dossier"] for one in first["items"] + rest["items"]] == ["d1", "d2"]
        shown = (await http.get(f"{base}/d1", headers=ours)).json()
        assert [letter["id"] for letter in shown["letters"]] == ["d1:2:1", "d1:2:2", "d1:7:1"]
        planned = (await http.post(f"{base}/redrive", json={"dry_run": True}, headers=ours)).json()
        assert [(one["dossier"], one["ending"]) for one in planned] == [("d1", None), ("d2", None)]
        assert office.log.deeds == []
        order = {"event": "d1:2:1", "reason": "forged"}
        dropped = (await http.post(f"{base}/d1/discard", json=order, headers=ours)).json()
        assert dropped == {"dossier": "d1", "letters": 3, "ending": "handled"}
        office.reader.desk.broken.clear()
        done = (await http.post(f"{base}/redrive", json={"ids": ["d2"]}, headers=ours)).json()
        assert [one["ending"] for one in done] == ["handled"]
        deeds = (await http.get("/v1/operations/deeds", headers=ours)).json()["items"]
    assert [(deed["who"], deed["what"]) for deed in deeds] == [("olga", "redrive"), ("olga", "discard")]


async def test_the_api_refuses_others_and_what_is_not_there(office: Office) -> None:
    """Another scope, another service's group, a dossier that is not held, a discard without a reason."""
    counter = Counter(office)
    base, ours = f"/v1/operations/dead-letters/{GROUP}", counter.as_("operations")
    async with connected(counter.app) as http:
        for other in ("operator", "caseworker", "citizen"):
            problem(await http.get(base, headers=counter.as_(other)), 403, "scope-missing")
        problem(await http.get(base), 401, "not-authenticated")
        problem(await http.get("/v1/operations/dead-letters/strangers", headers=ours), 404, "not-found")
        problem(await http.get(f"{base}/d3", headers=ours), 404, "not-found")
        refused = await http.post(f"{base}/d1/discard", json={"event": "d1:2:1"}, headers=ours)
        assert problem(refused, 422, "validation-failed")["errors"][0]["pointer"] == "/reason"
        missing = await http.post(f"{base}/d1/discard", json={"event": "d1:9:9", "reason": "gone"}, headers=ours)
        problem(missing, 404, "not-found")
    assert len(await office.dead.held(GROUP)) == 2
