"""The roles of all services, wired as in production but connected to nothing: what they subscribe to and serve.

Each service's own `__main__` says what it is made of; here it is run with a bus that only notes it. Journals are in
memory, or real ones over a database that is nowhere.
"""

import base64
import runpy
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from shared import runtime
from shared.consumer import Handler
from shared.contracts.event import Event
from shared.journal.journal import Journal
from shared.journal.model import Aggregate, JournalStore, S
from shared.runtime import Bus
from shared.settings import CommonSettings
from shared.store.journals import MongoJournalStore
from shared.store.small import MongoKeyStore
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore
from shared.vault import MemoryKeyStore, Vault
from shared.work import Performer

SERVICES = ("intake", "identity", "payments", "notifications", "analytics")
KEY = base64.b64encode(b"k" * 32).decode()
ENVIRONMENT = {
    "MONGODB_URI": "mongodb://127.0.0.1:1/test",
    "VAULT_MONGODB_URI": "mongodb://127.0.0.1:1/vault",
    "VAULT_KEYS": "{}",
    "JOURNAL_KEY": KEY,
    "HASH_KEY": KEY,
    "OIDC_ISSUER": "http://issuer.example",
    "REFERENCE_PAGE": "true",
    "REGISTER_URL": "http://register.example",
    "REGISTER_TOKEN": "invented-token",
    "STRIPE_API_KEY": "sk_test_invented",
    "STRIPE_WEBHOOK_SECRET": "whsec_invented",
    "QR_IBAN": "CH4431999123000889012",
    "CREDITOR_NAME": "Gemeinde Muster",
    "CREDITOR_POSTCODE": "6020",
    "CREDITOR_TOWN": "Muster",
    "SMTP_HOST": "mail.example",
    "MAIL_FROM": "counter@muster.example",
    "MAIL_DOMAIN": "muster.example",
}
"""Just enough settings for every role."""


@dataclass(frozen=True)
class Service:
    """What a service's `__main__` hands to the runtime."""

    name: str
    settings: type[CommonSettings]
    roles: Mapping[str, Callable[[Any], Awaitable[int]]]


@dataclass
class NotingBus(Bus[Any]):
    """A bus that notes instead of connecting. `in_memory`: journals in memory, else in a MongoDB that is nowhere."""

    in_memory: bool = True
    journals: dict[str, Journal[Any]] = field(default_factory=dict)
    stores: dict[str, JournalStore] = field(default_factory=dict)
    subscriptions: dict[str, tuple[tuple[str, ...], Mapping[type[Event], Handler]]] = field(default_factory=dict)
    app: FastAPI | None = None

    async def journal(self, aggregate: Aggregate[S], collection: str, lookups: Sequence[str] = ()) -> Journal[S]:
        """Open journals that publish nothing."""
        store: JournalStore = MemoryJournalStore()
        if not self.in_memory:
            store = MongoJournalStore(self.database[collection], self.database[collection])
        self.stores[collection] = store
        opened = Journal(aggregate, store, self.environment, tenant=self.settings.tenant, key=self.settings.journal_key)
        self.journals[collection] = opened
        return opened

    def consume(self, group: str, topics: Sequence[str], subscriptions: Mapping[type[Event], Handler]) -> None:
        """Note the subscriptions of a group."""
        self.subscriptions[group] = (tuple(topics), subscriptions)

    def perform(self, journal: Journal[S], performers: Mapping[str, Performer[S]]) -> None:
        """Do no work."""

    async def serve(self, app: FastAPI) -> int:
        """Note the application."""
        self.app = app
        return 0


@contextmanager
def _running(name: str) -> Iterator[list[Service]]:
    found: list[Service] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "run", lambda service, settings, roles: found.append(Service(service, settings, roles)))
        runpy.run_module(f"services.{name}.__main__", run_name="__main__")
        yield found


def service(name: str) -> Service:
    """Return what `python -m services.<name>` would run."""
    with _running(name) as found:
        return found[0]


def settings_of(found: Service) -> CommonSettings:
    """Return settings good enough to wire any role of the service."""
    fields = {key.lower(): value for key, value in ENVIRONMENT.items()}
    return found.settings.model_validate({key: fields[key] for key in found.settings.model_fields if key in fields})


class Nowhere:
    """A database that takes every preparation and holds nothing: each attribute, item, call and answer is itself."""

    def __getattr__(self, name: str) -> "Nowhere":
        return self

    def __getitem__(self, name: object) -> "Nowhere":
        return self

    def __call__(self, *_: object, **__: object) -> "Nowhere":
        """Do nothing."""
        return self

    def __await__(self) -> Generator[None, None, "Nowhere"]:
        yield from ()
        return self


@asynccontextmanager
async def wired(found: Service, role: str, *, in_memory: bool = True) -> AsyncIterator[NotingBus]:
    """Wire one role and yield its bus; what it serves and consumes is noted there."""
    settings, environment, nowhere = settings_of(found), FakeEnvironment(), cast("Any", Nowhere())
    vault, aliases = Vault(MemoryKeyStore(), settings.vault_keys, environment), MongoKeyStore(nowhere)
    bus = NotingBus(found.name, settings, environment, nowhere, vault, aliases, nowhere, in_memory=in_memory)
    with pytest.MonkeyPatch.context() as patch:
        if found.name == "analytics":
            _note_analytics(patch, bus)
        await found.roles[role](bus)
        yield bus


def _note_analytics(patch: pytest.MonkeyPatch, bus: NotingBus) -> None:
    """Analytics runs Faust and follows a topic instead of using the bus; its application is noted all the same."""

    async def note(app: FastAPI, *_: object) -> int:
        return await bus.serve(app)

    for module in ("reader", "worker"):
        patch.setattr(f"services.analytics.{module}.serve_async", note)
    patch.setattr("services.analytics.reader.REGISTRY", CollectorRegistry())
