"""From events of a dossier to the journals of checks and evidence. Never asks a register: that is work, see `work`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from services.identity.domain import Check, Evidence, cancel_check, cancel_fetch, open_check, open_fetch
from shared.consumer import Handler
from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested, StepCancelled
from shared.contracts.envelope import Received
from shared.journal import Cause, Decide, Journal


def on_identity_check_requested(checks: Journal[Check], patience: timedelta) -> Handler:
    """Return the handler that takes a check up; its id is the requesting event's."""

    async def handle(received: Received) -> None:
        assert isinstance(received.event, IdentityCheckRequested)  # noqa: S101  (by subscription; narrows the type)
        decide = open_check(received.event, patience)
        await checks.record(received.envelope.name, decide, Cause.event(received.envelope), new=True)

    return handle


def on_evidence_requested(evidence: Journal[Evidence], patience: timedelta) -> Handler:
    """Return the handler that takes a fetch up; its id is the requesting event's."""

    async def handle(received: Received) -> None:
        assert isinstance(received.event, EvidenceRequested)  # noqa: S101  (by subscription; narrows the type)
        decide = open_fetch(received.event, patience)
        await evidence.record(received.envelope.name, decide, Cause.event(received.envelope), new=True)

    return handle


def on_step_cancelled(journal: Journal[Any], kind: Literal["identity", "evidence"]) -> Handler:
    """Return the handler that cancels requests of one kind, also such as have not arrived yet."""
    cancel: Callable[[str], Decide[Any]] = cancel_check if kind == "identity" else cancel_fetch

    async def handle(received: Received) -> None:
        event = received.event
        assert isinstance(event, StepCancelled)  # noqa: S101  (by subscription; narrows the type)
        if event.kind == kind:
            await journal.record(event.request, cancel(event.step), Cause.event(received.envelope), creates=True)

    return handle
