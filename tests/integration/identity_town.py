"""The identity service on memory journals and a hand-moved clock, with the sandbox register: for its tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from deploy.local.sandbox.register import RegisterSettings, create_app
from deploy.local.sandbox.testing import free_port, serving
from services.identity.domain import CHECK, CHECK_IDENTITY, EVIDENCE, FETCH_EVIDENCE, Check, Evidence
from services.identity.handlers import on_evidence_requested, on_identity_check_requested
from services.identity.register import (
    HttpRegister,
)
from services.identity.settings import IdentitySettings
from services.identity.work import evidence_fetcher, identity_checker
from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested
from shared.contracts.envelope import Envelope, Received
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal import Journal
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore
from shared.vault import MemoryKeyStore, Vault
from shared.work import WorkLoop

TOKEN = "register-test-token"
DOSSIER = "d1"
LEA = {"official_name": "Muster", "first_name": "Lea", "date_of_birth": "1990-05-17", "ahv": "756.9217.0769.85"}
PATIENCE = timedelta(hours=24)
PURPOSES = ("person", "evidence")
SETTINGS = IdentitySettings(
    mongodb_uri=SecretStr("mongodb://127.0.0.1/identity"),
    journal_key=b"j" * 32,
    hash_key=b"h" * 32,
    oidc_issuer="https://login.emmen.example",
    register_url="http://register.example",
    register_token=SecretStr(TOKEN),
)


class Town:
    """The service as it runs, on memory journals and a hand-moved clock, with the register given."""

    def __init__(self, register: HttpRegister) -> None:
        self.environment = FakeEnvironment()
        wrapping = {purpose: bytes([number]) * 32 for number, purpose in enumerate(PURPOSES, start=1)}
        self.vault = Vault(MemoryKeyStore(), wrapping, self.environment)
        self.checks: Journal[Check] = self._journal(CHECK)
        self.evidence: Journal[Evidence] = self._journal(EVIDENCE)
        self.loops: tuple[WorkLoop[Any], ...] = (
            WorkLoop(self.checks, {CHECK_IDENTITY: identity_checker(self.vault, register)}, self.environment),
            WorkLoop(self.evidence, {FETCH_EVIDENCE: evidence_fetcher(self.vault, register)}, self.environment),
        )
        self._sequence = 1

    def _journal(self, aggregate: Any) -> Journal[Any]:
        return Journal(aggregate, MemoryJournalStore(), self.environment, tenant="emmen", key=b"j" * 32)

    def received(self, event: Event, sequence: int | None = None) -> Received:
        """An event of the dossier as the consumer hands it over."""
        self._sequence += 1
        number = sequence or self._sequence
        now = timestamp(self.environment.now())
        source = "//dossierbus/emmen/intake"
        event_id = f"{DOSSIER}:{number}"
        return Received(Envelope(event_id, source, event.type, DOSSIER, number, now, "emmen", DOSSIER, "", ""), event)

    async def request_check(self, **changes: Any) -> str:
        """Ask for a check of Lea, with other attributes where given (None leaves one out)."""
        values = {name: value for name, value in {**LEA, **changes}.items() if value is not None}
        person = (await self.vault.create(DOSSIER, PURPOSES)).seal("person", "person", values)
        received = self.received(IdentityCheckRequested(step="identity", register_name="residents", person=person))
        await on_identity_check_requested(self.checks, PATIENCE)(received)
        return received.envelope.id

    async def request_evidence(self, claim: str, register_id: str = "1000000") -> str:
        """Ask for evidence about the person with this id of the register."""
        sealed = (await self.vault.create(DOSSIER, PURPOSES)).seal("person", "register_id", register_id)
        event = EvidenceRequested(
            step="evidence", claim=claim, purpose="p", legal_basis="SRL 6", consent="d1:1", register_id=sealed
        )
        received = self.received(event)
        await on_evidence_requested(self.evidence, PATIENCE)(received)
        return received.envelope.id

    async def work(self, after: timedelta = timedelta()) -> int:
        """Let time pass, do what is due, and return how much it was."""
        self.environment.advance(after)
        started = 0
        for loop in self.loops:
            started += await loop.start_due()
            await loop.settle()
        return started

    async def told(self, journal: Journal[Any], subject: str) -> list[Event]:
        """All events of an aggregate."""
        return [recorded.event for recorded in await journal.recorded(subject)]


@dataclass
class Sandbox:
    """A running register and its faults."""

    url: str

    def break_down(self, **faults: Any) -> None:
        """Misbehave from now on."""
        httpx.put(f"{self.url}/sandbox/faults", json=faults).raise_for_status()

    def recover(self) -> None:
        """Behave well again."""
        httpx.delete(f"{self.url}/sandbox/faults").raise_for_status()


@contextmanager
def running_register(data_dir: Path) -> Iterator[Sandbox]:
    """A register on a free port; it keeps no state but its faults."""
    port = free_port()
    with serving(create_app(RegisterSettings(data_dir=data_dir, http_port=port, register_token=TOKEN)), port) as url:
        yield Sandbox(url)


def words(events: list[Event]) -> list[str]:
    """The events by their words."""
    return [event.word for event in events]
