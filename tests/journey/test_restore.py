"""The worst day: database and broker are lost; everything is restored from a backup on an empty machine.

What had been done outside meanwhile (a payment, mails) happened only once, and who was erased stays erased.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from deploy.local.journeys import books
from deploy.local.journeys.audit import Played, audit
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.endings import Effects
from deploy.local.journeys.town import Citizen, Town
from deploy.local.roles import ROLES
from deploy.local.stack import CHECKOUT, Stack
from deploy.local.supervisor import Supervisor
from shared.backup.archive import archives
from tests.journey.conftest import CATALOGUE, SESSION_TIMEOUT_MS

BASE_PORT = int(os.environ.get("RESTORE_BASE_PORT", "26000"))
DOSSIERS = int(os.environ.get("RESTORE_DOSSIERS", "14"))
CARD = {"card": "4242424242424242"}
BANK = {"purpose": "bank", "content": "simple"}
RTO_SECONDS = 300
"""Far above what it takes, because the machine may be busy: see docs/backup.md for what was measured."""
LEASE = {"purpose": "lease", "years": 3}


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Stack]:
    """An installation of its own: nobody else's data are lost."""
    environment = {"CATALOGUE": str(CATALOGUE), "KAFKA_SESSION_TIMEOUT_MS": SESSION_TIMEOUT_MS}
    stack = Stack(tmp_path / "town", BASE_PORT, os.environ.get("DOSSIERBUS_BROKER", "auto"), environment)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture
async def citizens(lost: Stack) -> AsyncIterator[Town]:
    """Its people."""
    async with httpx.AsyncClient(timeout=20) as http:
        yield Town.of(lost, http)


@dataclass
class Day:
    """Who did what: whose dossiers wait at the backup, who went on after it, and what must be left."""

    crowd: Crowd
    paying: Citizen
    reviewed: Citizen
    erased: Citizen
    repeated: Citizen
    key: str = field(default_factory=lambda: uuid4().hex)


def operate(stack: Stack, role: str, *arguments: str) -> str:
    """Run the operators' command; return its output."""
    given = {"BACKUP_MONGODB_URI": stack.root_mongo_uri} if role == "administrator" else {}
    environment = {**stack.env_for("intake-worker" if given else role), **given}
    command = [sys.executable, "-m", "services.cli", *arguments]
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def _before(town: Town) -> Day:
    """Play dossiers to their end, and bring some to where they wait for somebody."""
    crowd = Crowd(town, await residents(town))
    await crowd.play(mixed(DOSSIERS, seed=7, hasty=False))
    clean = [person for person in crowd.people if not person["has_debts"]]
    indebted = next(person for person in crowd.people if person["has_debts"])
    paying, erased, repeated = (Citizen(town, person) for person in clean[20:23])
    reviewed = Citizen(town, indebted)
    await paying.submit("residence-certificate", BANK, consents=["residence"], payment_method="card")
    await reviewed.submit("debt-register-extract", LEASE, consents=["debts"], payment_method="card")
    await reviewed.until("evidence_ready")
    await reviewed.act("/evidence/debts", {"accepted": True})
    await town.psp_session(await reviewed.payable(), "pay", CARD)
    await reviewed.until("in_review")
    await erased.submit("payment-slips", {"account": "fee", "count": 1})
    await erased.until("completed")
    await paying.payable()
    return Day(crowd, paying, reviewed, erased, repeated)


async def _submit_again(day: Day) -> str:
    """Hand in the same request with the same key; return the dossier's id."""
    citizen = day.repeated
    body = {
        "service": "payment-slips",
        "person": {
            "official_name": citizen.person["officialName"],
            "first_name": citizen.person["firstName"],
            "date_of_birth": citizen.person["dateOfBirth"],
            "ahv": citizen.person["vn_formatted"],
        },
        "contact": {"email": citizen.person["email"]},
        "form": {"account": "fee", "count": 2},
    }
    headers = {"Idempotency-Key": day.key}
    url = f"{citizen.town.portal}/v1/dossiers"
    seen = await citizen.town.ask("POST", url, await citizen.token(), json=body, headers=headers)
    citizen.dossier = seen["id"]
    return citizen.dossier


async def _after_the_backup(stack: Stack, day: Day, log: Path) -> str:
    """Pay, hand in, erase: what the backup knows nothing of. Return the id of the dossier that will be lost."""
    await day.paying.town.psp_session(await day.paying.payable(), "pay", CARD)
    await day.paying.until("evidence_ready", "in_progress")
    await day.paying.act("/evidence/residence", {"accepted": True})
    await day.paying.until("completed")
    handed_in = await _submit_again(day)
    await day.repeated.until("completed")
    operate(stack, "intake-worker", "erase", "--owner", day.erased.dossier, "--log", str(log))
    return handed_in


def _lose_everything(stack: Stack) -> None:
    """End all processes of the installation and remove every file of theirs; the world outside goes on."""
    for name in (*ROLES, "broker", "mongo"):
        stack.process(name).stop()
    stack.broker.program.wipe()
    shutil.rmtree(stack.root / "mongo" / "data")
    shutil.rmtree(stack.root / "data")


def _rebuild(stack: Stack, data: Path, keys: Path, log: Path) -> float:
    """Restore onto an empty database and broker and start all roles; return the seconds until all are ready."""
    started = time.monotonic()
    (stack.root / "mongo" / "data").mkdir()
    stack.restart("mongo")
    said = operate(
        stack, "administrator", "restore", "--from", str(data), "--vault-from", str(keys), "--erasures", str(log)
    )
    assert "1 erasures applied again" in said
    stack.restart("broker")
    stack.create_topics()
    (stack.root / "data").mkdir()
    for role in ROLES:
        stack.start_role(role)
    return time.monotonic() - started


async def _go_on(day: Day, handed_in: str) -> None:
    """Bring every dossier to its end: those that waited, and the one that is handed in again."""
    await day.paying.until("evidence_ready")
    await day.paying.act("/evidence/residence", {"accepted": True})
    await day.paying.until("completed")
    await day.reviewed.reviewed("accepted", agency="debt-office")
    await day.reviewed.until("completed")
    assert await _submit_again(day) == handed_in
    await day.repeated.until("completed")


async def test_everything_is_restored_from_a_backup(lost: Stack, citizens: Town, tmp_path: Path) -> None:
    """Finished dossiers are whole, waiting ones end, nobody pays twice, a repeat is known, erased is erased."""
    day, log = await _before(citizens), tmp_path / "apart" / "erasures.jsonl"
    places = ("--to", str(tmp_path / "data"), "--vault-to", str(tmp_path / "keys"))
    operate(lost, "administrator", "backup", *places)
    handed_in = await _after_the_backup(lost, day, log)
    await asyncio.to_thread(_lose_everything, lost)
    archived = (archives(tmp_path / "data")[-1], archives(tmp_path / "keys")[-1])
    seconds = await asyncio.to_thread(_rebuild, lost, *archived, log)
    assert seconds < RTO_SECONDS
    supervisor = Supervisor(lost)
    supervisor.start()
    try:
        await _go_on(day, handed_in)
        await _nothing_twice(lost, citizens, day)
    finally:
        supervisor.stop()


async def _nothing_twice(stack: Stack, town: Town, day: Day) -> None:
    """Count from outside; the dossiers that went on in the lost time are counted by their money alone."""
    approved = Effects("completed", captured=1)
    untouched = [*day.crowd.played, Played("reviewed", day.reviewed.dossier, day.reviewed.person["sub"], approved)]
    checks = await audit(stack, town, untouched)
    assert day.crowd.failures == []
    assert [check for check in checks if not check.ok] == []
    assert books.ledger(stack)[day.paying.dossier, "payment"] == 1
    token = await day.erased.token()
    document = (await day.erased.look())["documents"][0]["id"]
    answer = await town.send("GET", f"{town.portal}/v1/dossiers/{day.erased.dossier}/documents/{document}", token)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (410, "gone")
    published = await books.published(stack)
    assert any("@" in known for known in published.ids["intake.events"])
