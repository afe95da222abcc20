"""Bugs that other systems have, planted one at a time: the simulation is worth something if it finds each of them.

Every bug is a small change of the product's code by monkeypatching; `planted` takes it out again.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from typing import Any, Final

import pytest

from services.analytics import handlers as counting
from services.analytics.domain import apply
from services.notifications.domain import queue_message
from services.notifications.mail import message_id
from services.notifications.smtp import MailRefused
from shared.consumer import Dispatcher, Handler
from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.envelope import Envelope, Received
from shared.contracts.event import Event
from shared.contracts.notifications import MessageFailed, MessageSent
from shared.journal import Cause, Journal
from shared.journal import journal as saving
from shared.journal.fold import decided
from shared.journal.model import Change, Document, Head, Watermark
from shared.kafka import reader
from shared.relay import Relay, _Run
from shared.runtime import Bus
from shared.store.mongo import GroupCommit
from tests.simulation.store import Inside
from tests.simulation.wiring import PARTS, wired

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def drop_the_seen_check(patch: Patch) -> None:
    """Do not ask what was seen. Events that led to something are still recognised by it: a second guard."""
    original = Journal._repeated

    async def repeated(self: Journal[Any], head: Head, cause: Cause) -> Any:
        return await original(self, head, replace(cause, subject=None))

    patch.setattr(Journal, "_repeated", repeated)


def drop_the_inbox(patch: Patch) -> None:
    """Handle an event again whatever is known of it: neither what was seen nor what it led to."""
    original = Journal._repeated

    async def repeated(self: Journal[Any], head: Head, cause: Cause) -> Any:
        return None if cause.subject is not None else await original(self, head, cause)

    patch.setattr(Journal, "_repeated", repeated)


def publish_only_what_was_saved(patch: Patch) -> None:
    """Send the events just saved, whatever has not been published before them."""

    async def saved_only(self: Relay, subject: str, published: Watermark, documents: tuple[Document, ...]) -> _Run:
        ordered = tuple(sorted(documents, key=lambda document: int(document["seq"])))
        return _Run(subject, Watermark(published.fill, ordered[0]["seq"] - 1), ordered)

    patch.setattr(Relay, "_contiguous", saved_only)


def commit_before_the_effect(patch: Patch) -> None:
    """Commit the offset, then handle."""

    async def one_fetch(consumer: Any, dispatcher: Dispatcher) -> None:
        fetched = await consumer.getmany()
        await reader._commit(consumer, dispatcher.group, {p: r[-1].offset + 1 for p, r in fetched.items()})
        await dispatcher.dispatch([reader.message_of(one) for records in fetched.values() for one in records])

    patch.setattr(reader, "_one_fetch", one_fetch)


def ignore_the_version(patch: Patch) -> None:
    """Write whatever another writer wrote meanwhile."""
    original = Inside.commit

    async def commit(self: Inside, change: Change) -> bool:
        document = self.documents.get(change.subject)
        return await original(self, replace(change, version=document["version"] if document else 0))

    patch.setattr(Inside, "commit", commit)


def skip_the_sweeper(patch: Patch) -> None:
    """Trust that what is saved is published at once."""

    async def sweep(_self: Bus[Any]) -> None:
        await asyncio.Event().wait()

    patch.setattr(Bus, "_sweep", sweep)


def note_only_what_decided(patch: Patch) -> None:
    """Move the inbox only when something was decided."""

    def deciding(*args: Any) -> Any:
        result = decided(*args)
        if result is not None and not result.change.events and result.change.seen is not None:
            return None
        return result

    patch.setattr(saving, "decided", deciding)


def count_instead_of_folding(patch: Patch) -> None:
    """Count every arrival, also a repeat or an older one."""

    def arrived(record: Any, envelope: Envelope, event: Event) -> Any:
        forgetful = {subject: {**part, "n": 0} for subject, part in record.items()}
        return apply(forgetful, envelope, event)

    patch.setattr(counting, "apply", arrived)


def call_the_provider_in_the_handler(patch: Patch) -> None:
    """Send the mail while the event is handled, each time a new one."""

    def on_dossier_status_changed(messages: Journal[Any], useful: Any) -> Handler:
        async def handle(received: Received) -> None:
            assert isinstance(received.event, DossierStatusChanged)
            envelope, mail = received.envelope, EmailMessage()
            mail["Message-ID"] = message_id(envelope.id, "muster.example")
            mail["Subject"] = f"as of {asyncio.get_running_loop().time()}"
            outcome: Event = MessageSent(channel="email", attempts=1)
            try:
                await PARTS.get().mail.send(mail)
            except MailRefused:
                outcome = MessageFailed(channel="email", reason="smtp_550")
            queue = queue_message(received.event, envelope.time, useful)

            def told(state: Any, now: Any) -> list[Event]:
                return [*queue(state, now), *(() if state else (outcome,))]

            await messages.record(envelope.id, told, Cause.event(envelope), creates=True)

        return handle

    for role in wired()["notifications"].roles.values():
        patch.setitem(role.func.__globals__, "on_dossier_status_changed", on_dossier_status_changed)  # type: ignore[attr-defined]


def believe_it_was_published(patch: Patch) -> None:
    """Raise the watermark without looking at the acknowledgements."""
    original = Relay._settle

    async def settle(self: Relay, run: _Run, _acknowledged: int) -> None:
        await original(self, run, len(run.documents))

    patch.setattr(Relay, "_settle", settle)


def publish_nothing_again(patch: Patch) -> None:
    """Leave a broker empty that came back empty."""

    async def republish(_self: Inside, _fill: int) -> int:
        return 0

    patch.setattr(Inside, "republish", republish)


def answer_a_group_as_one(patch: Patch) -> None:
    """Tell every writer of a group commit that it was first."""

    async def write(self: GroupCommit, operations: list[Any]) -> dict[int, int]:
        await GroupCommit_write(self, operations)
        return {}

    GroupCommit_write = GroupCommit._write  # noqa: N806 - the original
    patch.setattr(GroupCommit, "_write", write)


def read_what_a_new_primary_calls_safe(patch: Patch) -> None:
    """Hold an election every ten seconds: reads of two seconds hide what was acknowledged since two before it."""
    earlier: dict[tuple[int, str], tuple[float, Document | None]] = {}
    Inside_load, Inside_commit = Inside.load, Inside.commit  # noqa: N806 - the originals

    async def commit(self: Inside, change: Change) -> bool:
        before = self.documents.get(change.subject)
        if written := await Inside_commit(self, change):
            earlier[id(self), change.subject] = (asyncio.get_running_loop().time(), before)
        return written

    async def load(self: Inside, subject: str, cause: str | None = None) -> Head | None:
        since_election = asyncio.get_running_loop().time() % 10
        at, before = earlier.get((id(self), subject), (0.0, None))
        if since_election > 2 or at < asyncio.get_running_loop().time() - since_election - 2:
            return await Inside_load(self, subject, cause)
        if before is None:
            return None
        with pytest.MonkeyPatch.context() as moment:
            moment.setitem(self.documents, subject, before)
            return await Inside_load(self, subject, cause)

    patch.setattr(Inside, "commit", commit)
    patch.setattr(Inside, "load", load)


BUGS: Final[dict[str, Plant]] = {
    plant.__name__: plant
    for plant in (
        drop_the_seen_check,
        drop_the_inbox,
        publish_only_what_was_saved,
        commit_before_the_effect,
        ignore_the_version,
        skip_the_sweeper,
        note_only_what_decided,
        count_instead_of_folding,
        call_the_provider_in_the_handler,
        believe_it_was_published,
        publish_nothing_again,
        answer_a_group_as_one,
        read_what_a_new_primary_calls_safe,
    )
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a bug for a while."""
    wired()
    with pytest.MonkeyPatch.context() as patch:
        BUGS[name](patch)
        yield
