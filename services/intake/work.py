"""What intake does outside a request: apply the rules of a decision, issue documents, ring the applicant's deadline.

Works on opened values and gives nothing of them away: outcomes hold codes, documents are stored sealed.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from services.intake import domain
from services.intake.catalogue.model import MunicipalService, StepDefinition
from services.intake.documents.render import render
from services.intake.domain import Catalogue
from services.intake.issuing import document_facts
from services.intake.settings import IntakeSettings
from services.intake.state import Dossier
from shared.calendar import ZURICH
from shared.contracts.dossier import DocumentIssued
from shared.environment import Environment
from shared.errors import Permanent, Transient
from shared.journal import Decide, Task
from shared.vault import Erased, Keyring, Vault
from shared.work import Done, Performer


class Files(Protocol):
    """Where sealed documents lie."""

    async def put(self, file_id: str, sealed: bytes) -> None:
        """Store a file unless it is there."""
        ...

    async def get(self, file_id: str) -> bytes | None:
        """Return a file's sealed bytes, or None."""
        ...


class ServiceAway(Transient):
    """The catalogue lacks the service of an open dossier: its work waits until somebody puts it back."""


class DataErased(Permanent):
    """The person's data were erased: nothing can be decided or issued any more."""


def _one_thread() -> Executor:
    """One thread for all documents: several would only wait for the interpreter, and each keep a heap of its own."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="documents")


@dataclass(frozen=True)
class Desk:
    """What the work needs: the catalogue, the vault, the files, the clock, and where documents are rendered."""

    catalogue: Catalogue
    vault: Vault
    files: Files
    environment: Environment
    settings: IntakeSettings
    rendering: Executor = field(default_factory=_one_thread)

    async def evaluate(self, task: Task[Dossier]) -> Done[Dossier]:
        """Apply the rules of the decision step; what cannot be evaluated asks for a person."""
        service, step = self._step(task)
        opened = await self._opened(task.state)
        variables = {**opened, "today": self.environment.now().astimezone(ZURICH).date().isoformat()}
        failed = [rule.code for rule in step.grant_if if not rule.holds(variables)]
        authority = service.authority_of(step)
        reviewed = any(known.review and known.review.authority == authority for known in task.state.steps.values())
        outcome = "review" if failed and not reviewed else "granted"
        return Done(domain.record_rules(step.id, outcome, failed if outcome == "review" else ()))

    async def issue(self, task: Task[Dossier]) -> Done[Dossier]:
        """Render the document, store it sealed, then record it; a repeat stores and records nothing new."""
        service, step = self._step(task)
        keys = await self.vault.open(task.subject)
        facts = document_facts(
            step.document or "",
            service,
            task.state,
            _opened(task.state, keys),
            self.settings,
            self.environment.now(),
        )
        loop = asyncio.get_running_loop()
        pdf = await loop.run_in_executor(self.rendering, render, step.document or "", facts, task.state.language)
        document = f"{task.subject}-{step.id}"
        await self.files.put(document, keys.seal_bytes("document", document, pdf))
        stored = await self.files.get(document)
        kept = keys.unseal_bytes(document, stored) if stored else Erased
        if not isinstance(kept, bytes):
            raise DataErased("the person's data were erased")
        issued = DocumentIssued(
            step=step.id,
            document=document,
            kind=step.document or "",
            sha256=sha256(kept).hexdigest(),
            size=len(kept),
        )
        return Done(domain.record_document(issued))

    async def _opened(self, dossier: Dossier) -> Mapping[str, Any]:
        return _opened(dossier, await self.vault.open(dossier.id))

    async def ring(self, task: Task[Dossier]) -> Done[Dossier]:
        """The applicant's time is over; once the status has moved on nothing follows. Raises `ServiceAway`."""
        status_event = task.id.rpartition("/")[0]
        if task.state.ending is None and task.state.status_event == status_event:
            self._service(task)
        return Done(domain.expire(status_event))

    def _service(self, task: Task[Dossier]) -> MunicipalService:
        try:
            return domain.service_of(self.catalogue, task.state)
        except domain.ServiceMissing as error:
            raise ServiceAway(*error.args) from None

    def _step(self, task: Task[Dossier]) -> tuple[MunicipalService, StepDefinition]:
        """Return the step that the task's event opened. Raises `ServiceAway`."""
        service = self._service(task)
        kind = "decision" if task.kind == domain.EVALUATE else "document"
        step = next((one for one in service.steps if one.kind == kind and _is_open(task.state, one)), None)
        if step is None:
            raise Permanent(f"no open {kind} step")
        return service, step

    def needs_person(self, task: Task[Dossier], reason: str) -> Decide[Dossier]:
        """Give up: a person must look at the step."""
        _, step = self._step(task)
        return domain.record_rules(step.id, "review", (f"{task.kind}_{reason}",))


def performers(desk: Desk) -> dict[str, Performer[Dossier]]:
    """Return how each kind of intake's work is done."""
    return {
        domain.EVALUATE: Performer(desk.evaluate, desk.needs_person),
        domain.ISSUE: Performer(desk.issue, desk.needs_person, places=4),
        domain.DEADLINE: Performer(desk.ring, lambda task, _reason: domain.expire(task.id.rpartition("/")[0])),
    }


def _is_open(dossier: Dossier, step: StepDefinition) -> bool:
    state = dossier.steps.get(step.id)
    return state is not None and not state.done


def _opened(dossier: Dossier, keys: Keyring) -> dict[str, Any]:
    """Return person, form and the evidence by step. Raises `DataErased`."""
    person, form = keys.unseal("person", dossier.person), keys.unseal("form", dossier.form)
    evidence = {
        request.step: keys.unseal("evidence", request.sealed)
        for request in dossier.requests.values()
        if request.kind == "evidence" and request.sealed and dossier.steps[request.step].done
    }
    if any(value is Erased for value in (person, form, *evidence.values())):
        raise DataErased("the person's data were erased")
    return {"person": person, "form": form, "evidence": evidence}
