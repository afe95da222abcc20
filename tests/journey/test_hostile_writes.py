"""Writes that repeat, conflict or come too late: keys, versions, cursors, tickets and actions out of season."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from deploy.local.journeys.town import Citizen
from deploy.local.stack import Stack
from shared.store.mongo import Database, connect
from tests.journey.hostile import BANK, RESIDENCE, SLIP, Bad, Scene, scene_of, submission, wrong_with

KEYS: Final = {
    "missing": "",
    "short": "1234567",
    "long": "k" * 129,
    "with a space": "a key that",
    "in Latin-1": "schlüssel",
}


def _post(name: str, path: str, status: int, slug: str, json: Any = None, **more: Any) -> Bad:
    return Bad(name, status, slug, method="POST", path=path, json=json, **more)


def _stale(name: str, version: str) -> Bad:
    headers = {"If-Match": version}
    return _post(name, "/v1/dossiers/{own}/withdrawal", 412, "version-stale", headers=headers)


BAD: Final = (
    *(
        Bad(f"key {name}", 400, "idempotency-key-required", None, "POST", json=submission(),
            headers={"Idempotency-Key": key})
        for name, key in KEYS.items()
    ),
    _stale("version 1", '"1"'),
    _stale("version of the future", '"999"'),
    _stale("weak version", 'W/"9"'),
    _stale("version without quotes", "9"),
    _stale("version with markup", '"9"><script>'),
    _stale("endless version", '"' + "9" * 190 + '"'),
    _post("consent for an unknown step", "/v1/dossiers/{own}/consents/nowhere", 409, "conflict", {"granted": True}),
    _post("consent that is a text", "/v1/dossiers/{own}/consents/residence", 422, "validation-failed",
          {"granted": "oui"}, pointer="/granted"),
    _post("consent with more", "/v1/dossiers/{own}/consents/residence", 422, "validation-failed",
          {"granted": True, "forever": True}, pointer="/forever"),
    _post("step asks the database", "/v1/dossiers/{own}/consents/$set", 422, "validation-failed", {"granted": True},
          pointer="/step"),
    _post("confirming what was not fetched", "/v1/dossiers/{own}/evidence/residence", 409, "conflict",
          {"accepted": True}),
    Bad("evidence that was not fetched", 404, "not-found", path="/v1/dossiers/{own}/evidence/residence"),
    _post("paying what is free", "/v1/dossiers/{done}/payments", 409, "conflict", {"method": "card"}),
    _post("paying in shells", "/v1/dossiers/{own}/payments", 422, "validation-failed", {"method": "shells"},
          pointer="/method"),
    _post("withdrawing what has ended", "/v1/dossiers/{done}/withdrawal", 409, "conflict"),
    Bad("stream without a ticket", 422, "validation-failed", "/ticket", path="/v1/dossiers/{own}/stream", who=""),
    Bad("stream with an invented ticket", 401, "not-authenticated", path="/v1/dossiers/{own}/stream?ticket=" + "0" * 39,
        who=""),
    Bad("stream with a token instead", 422, "validation-failed", "/ticket", path="/v1/dossiers/{own}/stream"),
    Bad("ticket that asks the database", 422, "validation-failed", "/ticket",
        path="/v1/dossiers/{own}/stream?ticket[$ne]=x", who=""),
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=str)
async def test_bad_writes_change_nothing(stack: Stack, bad: Bad) -> None:
    """The refusal is complete and the dossier is at the version it had before."""
    async with scene_of(stack) as scene:
        before = await _sequence(scene)
        assert wrong_with(bad, await scene.send(bad)) == []
        assert await _sequence(scene) == before


async def _sequence(scene: Scene) -> int:
    headers = {"Authorization": f"Bearer {scene.tokens['citizen']}"}
    answer = await scene.town.http.get(scene.fill(f"{scene.town.portal}/v1/dossiers/{{own}}"), headers=headers)
    return int(answer.json()["sequence"])


async def _put_in(scene: Scene, key: str, body: dict[str, Any], who: str = "citizen") -> httpx.Response:
    headers = {"Authorization": f"Bearer {scene.tokens[who]}", "Idempotency-Key": key}
    return await scene.town.http.post(f"{scene.town.portal}/v1/dossiers", json=body, headers=headers)


async def test_a_key_stands_for_one_request(stack: Stack) -> None:
    """The same key and body give the same dossier, another body is refused, another person's key is another's."""
    async with scene_of(stack) as scene:
        key = f"once-{datetime.now(UTC).isoformat()}"
        first, again = await _put_in(scene, key, submission()), await _put_in(scene, key, submission())
        assert (first.status_code, again.status_code) == (201, 201)
        assert (again.json()["id"], again.headers["location"]) == (first.json()["id"], first.headers["location"])
        assert again.json()["submitted_at"] == first.json()["submitted_at"]
        other = Bad("other body", 422, "idempotency-key-reused", None, "POST", json=submission(form__count=2),
                    headers={"Idempotency-Key": key})  # fmt: skip
        assert wrong_with(other, await scene.send(other)) == []
        elsewhere = _post("other route", f"/v1/dossiers/{first.json()['id']}/withdrawal", 422, "idempotency-key-reused",
                          headers={"Idempotency-Key": key})  # fmt: skip
        assert wrong_with(elsewhere, await scene.send(elsewhere)) == []
        theirs = await _put_in(scene, key, submission(), "stranger")
        assert theirs.status_code == 201
        assert theirs.json()["id"] != first.json()["id"]


async def test_an_action_is_done_once(stack: Stack) -> None:
    """A repeated withdrawal gets the first answer; under a new key it is refused, because the dossier has ended."""
    async with scene_of(stack) as scene:
        citizen = Citizen(scene.town, scene.people[0])
        await citizen.submit(RESIDENCE, BANK, payment_method="card")
        await citizen.until("consent_needed")
        version = f'"{citizen.seen["sequence"]}"'
        await citizen.payable()
        stale = _post("stale", f"/v1/dossiers/{citizen.dossier}/withdrawal", 412, "version-stale",
                      headers={"If-Match": f'"{1}"'})  # fmt: skip
        refused = await scene.send(stale)
        assert wrong_with(stale, refused) == []
        assert int(refused.headers["etag"].strip('"')) >= int(version.strip('"'))
        path = f"/v1/dossiers/{citizen.dossier}/withdrawal"
        repeated = Bad("repeated", 200, "", method="POST", path=path, headers={"Idempotency-Key": "withdraw-once"})
        first, again = await scene.send(repeated), await scene.send(repeated)
        assert (first.status_code, again.status_code) == (200, 200)
        assert again.json() == first.json()
        late = _post("late", path, 409, "conflict")
        await citizen.until("withdrawn")
        assert wrong_with(late, await scene.send(late)) == []


async def test_cursors_are_good_for_their_own_list(stack: Stack) -> None:
    """A page mark of one person's list does not open another's, and one that was changed opens none."""
    async with scene_of(stack) as scene:
        for _ in range(2):
            await Citizen(scene.town, scene.people[1]).submit("payment-slips", SLIP)
        headers = {"Authorization": f"Bearer {scene.tokens['stranger']}"}
        page = (await scene.town.http.get(f"{scene.town.portal}/v1/dossiers?limit=1", headers=headers)).json()
        cursor = page["next"]
        for name, mark, who in (
            ("of somebody else", cursor, "citizen"),
            ("changed", cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB"), "stranger"),
            ("of another list", cursor, "caseworker"),
        ):
            path = f"/v1/{'reviews' if who == 'caseworker' else 'dossiers'}?cursor={mark}"
            bad = Bad(f"cursor {name}", 400, "cursor-invalid", path=path, who=who)
            assert wrong_with(bad, await scene.send(bad)) == []
        good = await scene.town.http.get(f"{scene.town.portal}/v1/dossiers?cursor={cursor}", headers=headers)
        assert page["items"][0]["id"] not in [item["id"] for item in good.json()["items"]]


@asynccontextmanager
async def _database(stack: Stack) -> AsyncIterator[Database]:
    async with connect(stack.mongo_uri("intake")) as database:
        yield database


async def _ticket(scene: Scene) -> str:
    bad = Bad("ticket", 201, "", method="POST", path="/v1/dossiers/{done}/tickets")
    return str((await scene.send(bad)).json()["ticket"])


async def test_a_ticket_opens_one_stream_of_its_dossier_for_a_minute(stack: Stack) -> None:
    """Used, old and foreign tickets are refused alike; trying one on another dossier does not use it up."""
    async with scene_of(stack) as scene, _database(stack) as database:
        ticket, old = await _ticket(scene), await _ticket(scene)
        past = datetime.now(UTC) - timedelta(seconds=1)
        await database["tickets"].update_one({"_id": old}, {"$set": {"until": past}})
        foreign = Bad("foreign ticket", 401, "not-authenticated", path=f"/v1/dossiers/{{other}}/stream?ticket={ticket}")
        assert wrong_with(foreign, await scene.send(foreign)) == []
        done = f"/v1/dossiers/{scene.names['done']}/stream?ticket="
        opened = await scene.town.http.get(scene.town.portal + done + ticket)
        assert opened.status_code == 200
        assert "event: status" in opened.text
        for name, used in (("used ticket", ticket), ("old ticket", old)):
            bad = Bad(name, 401, "not-authenticated", path=done + used, who="")
            assert wrong_with(bad, await scene.send(bad)) == []
