"""The case workers' and agencies' routes: what waits for them, a dossier's granted details, their answer.

Every read of details is noted in the ledger before it is answered. An agency sees only dossiers it takes part in.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from services.intake import domain
from services.intake.api.counter import BY_SUBMISSION, Counter
from services.intake.api.dossiers import DossierId
from services.intake.api.views import DossierView
from services.intake.state import Dossier
from shared.auth import Caller, requires
from shared.journal import Outcome
from shared.vault import ErasedType
from shared.web.headers import CallerLanguage, ExpectedVersion, IdempotencyKey
from shared.web.pages import Cursor, Limit, Page
from shared.web.problems import NotFound

Reviewer = Annotated[Caller, Depends(requires("caseworker", "agency"))]


class Answer(BaseModel):
    """A person's answer to a review."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    step: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")
    outcome: Literal["accepted", "refused"]
    reasons: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")], ...] = Field(default=(), max_length=10)


class ReviewView(BaseModel):
    """A review that waits for an answer."""

    model_config = ConfigDict(frozen=True)
    dossier: str
    service: str
    step: str
    authority: str
    reasons: tuple[str, ...]
    submitted_at: str


class Details(BaseModel):
    """A dossier for a case worker or an agency, with the values that its steps need. Reading it is noted."""

    model_config = ConfigDict(frozen=True)
    dossier: DossierView
    person: dict[str, Any] | None
    form: dict[str, Any] | None
    evidence: dict[str, Any]


def routes(counter: Counter) -> APIRouter:
    """Return the routes of case work."""
    router = APIRouter(prefix="/v1", tags=["case work"])
    _listing(router, counter)
    _answering(router, counter)
    return router


def _listing(router: APIRouter, counter: Counter) -> None:
    @router.get("/reviews")
    async def reviews(
        caller: Reviewer,
        limit: Limit = 20,
        cursor: Cursor = None,
        service: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = None,
    ) -> Page[ReviewView]:
        """List the reviews that wait for the caller, the longest waiting dossier first."""
        scope = f"reviews/{_authority(caller) or 'municipality'}/{service}"
        waiting = counter.authorities() if _authority(caller) is None else [_authority(caller)]
        query = {"state.awaiting": {"$in": waiting}, **({"state.service": service} if service else {})}
        after = counter.position(scope, cursor)
        heads = await counter.store.find(query, by=BY_SUBMISSION, limit=limit + 1, after=after)
        found = [view for one in counter.outcomes(heads[:limit]) for view in _reviews(one.state, _authority(caller))]
        more = counter.following(scope, heads, limit)
        return Page(items=found, next=more)

    @router.get("/dossiers/{dossier_id}/details")
    async def details(dossier_id: DossierId, caller: Reviewer, language: CallerLanguage) -> Details:
        """Show what the caller's part in the dossier needs."""
        found = await _granted(counter, dossier_id, caller)
        agency = _authority(caller)
        fields = ["evidence"] if agency else ["person", "form", "evidence"]
        await counter.ledger.note(dossier_id, agency or await counter.people.applicant(caller.subject), fields)
        opened = await _open(counter, found.state)
        return Details(
            dossier=counter.view(found, language),
            person=opened["person"] if "person" in fields else None,
            form=opened["form"] if "form" in fields else None,
            evidence=opened["evidence"],
        )


def _answering(router: APIRouter, counter: Counter) -> None:
    @router.post("/dossiers/{dossier_id}/decisions")
    async def decide(
        dossier_id: DossierId,
        body: Answer,
        caller: Reviewer,
        key: IdempotencyKey,
        expected: ExpectedVersion,
        language: CallerLanguage,
    ) -> DossierView:
        """Answer a review: accepted goes on, refused ends the dossier."""
        await _granted(counter, dossier_id, caller)
        agency = _authority(caller)
        reviewer = agency or await counter.people.applicant(caller.subject)
        answer = domain.review(body.step, body.outcome, reviewer, agency, body.reasons)
        cause = counter.cause(caller, key, "decisions", body.model_dump(mode="json"))
        return counter.view(await counter.command(dossier_id, answer, cause, expected=expected), language)


def _authority(caller: Caller) -> str | None:
    """Return the agency a caller speaks for; None for the municipality's own case workers."""
    return None if "caseworker" in caller.scopes else (caller.agency or "unknown")


async def _granted(counter: Counter, dossier_id: str, caller: Caller) -> Outcome[Dossier]:
    found = await counter.dossiers.state(dossier_id)
    agency = _authority(caller)
    if found is None or (agency is not None and agency not in found.state.agencies):
        raise NotFound
    return found


def _reviews(dossier: Dossier, agency: str | None) -> list[ReviewView]:
    return [
        ReviewView(
            dossier=dossier.id,
            service=dossier.service,
            step=step_id,
            authority=step.review.authority,
            reasons=step.review.reasons,
            submitted_at=dossier.submitted_at,
        )
        for step_id, step in dossier.steps.items()
        if step.review and step.review.outcome is None and agency in (None, step.review.authority)
    ]


async def _open(counter: Counter, dossier: Dossier) -> dict[str, Any]:
    keys = await counter.vault.open(dossier.id)
    sealed = {
        "person": keys.unseal("person", dossier.person),
        "form": keys.unseal("form", dossier.form),
        "evidence": {
            request.step: _or_none(keys.unseal("evidence", request.sealed))
            for request in dossier.requests.values()
            if request.kind == "evidence" and request.sealed
        },
    }
    return {name: _or_none(value) for name, value in sealed.items()}


def _or_none(value: Any) -> Any:
    return None if isinstance(value, ErasedType) else value
