"""What is done outside: asking the register. Personal values are opened here, for one question, and never kept.

Reading is repeatable, so after an unknown outcome the register is simply asked again.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from services.identity.domain import (
    Check,
    Evidence,
    confirm_identity,
    delay_check,
    delay_fetch,
    deliver_evidence,
    fail_check,
    mismatch_identity,
    miss_evidence,
)
from services.identity.matching import choose
from services.identity.register import Applicant, DebtEntries, Entry, Register, ResidenceRecord
from shared.errors import KeyMissing
from shared.journal import Decide, Task
from shared.relay import dossier_of
from shared.vault import ErasedType, Keyring, Vault
from shared.work import Done, Perform, Performer

log = logging.getLogger(__name__)

TOLD_AT_ATTEMPT: Final = 2
PLACES: Final = 8

Fetch = Callable[[str], Awaitable[ResidenceRecord | DebtEntries | None]]


def identity_checker(vault: Vault, register: Register) -> Performer[Check]:
    """How the work `check_identity` is done."""
    return Performer(
        perform=_check(vault, register),
        give_up=lambda _task, reason: fail_check("register_unavailable" if reason == "too_old" else reason),
        delayed=_told(delay_check),
        provider="register",
        places=PLACES,
    )


def evidence_fetcher(vault: Vault, register: Register) -> Performer[Evidence]:
    """How the work `fetch_evidence` is done."""
    return Performer(
        perform=_fetch(vault, register),
        give_up=lambda _task, _reason: miss_evidence("source_unavailable"),
        delayed=_told(delay_fetch),
        provider="register",
        places=PLACES,
    )


def leaves(value: Any) -> int:
    """Count the filled values of a JSON document: what the applicant need not type again."""
    if isinstance(value, Mapping):
        return sum(leaves(member) for member in value.values())
    if isinstance(value, list):
        return sum(leaves(member) for member in value)
    return int(value is not None)


def _told(delay: Callable[[int], Decide[Any]]) -> Callable[[Task[Any]], Decide[Any] | None]:
    """Keep the first failure to ourselves: it is often over a second later."""
    return lambda task: delay(task.attempts) if task.attempts >= TOLD_AT_ATTEMPT else None


def _check(vault: Vault, register: Register) -> Perform[Check]:
    async def perform(task: Task[Check]) -> Done[Check]:
        if not task.state.open:
            return Done()
        keyring = await vault.open(dossier_of(task.subject))
        person = keyring.unseal("person", task.state.person)
        if isinstance(person, ErasedType):
            return Done(fail_check("erased"))
        applicant = Applicant.model_validate(person)
        chosen = choose(applicant, await register.search(applicant))
        return Done(_confirmed(keyring, chosen) if isinstance(chosen, Entry) else mismatch_identity(chosen))

    return perform


def _confirmed(keyring: Keyring, entry: Entry) -> Decide[Check]:
    return confirm_identity(keyring.seal("person", "register_id", entry.local_person_id))


def _fetch(vault: Vault, register: Register) -> Perform[Evidence]:
    sources: Mapping[str, tuple[str, Fetch]] = {
        "residence_record": ("residents_register", register.residence),
        "debt_entries": ("debt_register", register.debt_entries),
    }

    async def perform(task: Task[Evidence]) -> Done[Evidence]:
        if not task.state.open:
            return Done()
        if task.state.claim not in sources:
            log.error("claim_without_source", extra={"work_id": task.id})
            return Done(miss_evidence("source_unavailable"))
        keyring = await vault.open(dossier_of(task.subject))
        register_id = keyring.unseal("register_id", task.state.register_id)
        if isinstance(register_id, ErasedType):
            return Done(miss_evidence("erased"))
        source, fetch = sources[task.state.claim]
        record = await fetch(str(register_id))
        return Done(_delivered(keyring, source, record.document()) if record else miss_evidence("not_found"))

    return perform


def _delivered(keyring: Keyring, source: str, evidence: dict[str, Any]) -> Decide[Evidence]:
    try:
        sealed = keyring.seal("evidence", "evidence", evidence)
    except KeyMissing:
        return miss_evidence("erased")
    return deliver_evidence(source, leaves(evidence), sealed)
