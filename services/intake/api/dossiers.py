"""The applicant's routes: hand in and look. What else they can do stands in `actions` and `downloads`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from services.intake import domain
from services.intake.api.counter import BY_SUBMISSION, Counter
from services.intake.api.views import DossierView, TimelineEntry, timeline_entry
from services.intake.submission import PURPOSES, Submission, accept, check_submission
from shared.auth import Caller, requires
from shared.errors import KeyMissing
from shared.language import texts
from shared.web.headers import CallerLanguage, IdempotencyKey, etag
from shared.web.pages import Cursor, Limit, Page
from shared.web.problems import FieldProblem, Gone, Invalid

Citizen = Annotated[Caller, Depends(requires("citizen"))]
DossierId = Annotated[str, Path(pattern=r"^[0-9a-z]{26}$", description="Id of a dossier.")]
StepId = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="A step of the service.")]

_UNKNOWN_SERVICE = texts(
    "Erwartet wird eine Dienstleistung aus GET /v1/services.",
    "Une prestation de GET /v1/services est attendue.",
    "È attesa una prestazione di GET /v1/services.",
    "Expected a service from GET /v1/services.",
)


def routes(counter: Counter) -> APIRouter:
    """Return the applicant's routes."""
    router = APIRouter(prefix="/v1/dossiers", tags=["dossiers"])
    _submitting(router, counter)
    _looking(router, counter)
    return router


def _submitting(router: APIRouter, counter: Counter) -> None:
    @router.post("", status_code=201)
    async def submit(
        body: Submission, caller: Citizen, key: IdempotencyKey, language: CallerLanguage, response: Response
    ) -> DossierView:
        """Hand in a request. The same key with the same body gives the same dossier."""
        service = counter.offered().get(body.service)
        if service is None:
            raise Invalid(errors=[FieldProblem("/service", "enum", _UNKNOWN_SERVICE)])
        check_submission(service, body, caller, counter.environment.now())
        dossier_id = counter.new_id(caller, key)
        keys = await counter.vault.create(dossier_id, PURPOSES)
        try:
            accepted = await accept(service, body, caller, counter.people, keys)
        except KeyMissing:
            # The same key again, after the dossier that it made was erased.
            raise Gone from None
        outcome = await counter.command(
            dossier_id,
            domain.submit(accepted.submitted, accepted.consents),
            counter.cause(caller, key, "submit", body.model_dump(mode="json")),
            new=True,
        )
        response.headers["Location"] = f"/v1/dossiers/{dossier_id}"
        response.headers["ETag"] = etag(outcome.sequence)
        return counter.view(outcome, language)


def _looking(router: APIRouter, counter: Counter) -> None:
    @router.get("")
    async def my_dossiers(
        caller: Citizen, language: CallerLanguage, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[DossierView]:
        """List the caller's dossiers, newest first."""
        applicant = await counter.people.applicant(caller.subject)
        scope = f"dossiers/{applicant}"
        after = counter.position(scope, cursor)
        heads = await counter.store.find(
            {"state.applicant": applicant}, by=BY_SUBMISSION, limit=limit + 1, after=after, newest_first=True
        )
        shown = [counter.view(outcome, language) for outcome in counter.outcomes(heads[:limit])]
        more = counter.following(scope, heads, limit)
        return Page(items=shown, next=more)

    @router.get("/{dossier_id}")
    async def one_dossier(
        dossier_id: DossierId, caller: Citizen, language: CallerLanguage, response: Response
    ) -> DossierView:
        """Show one of the caller's dossiers."""
        found = await counter.own(dossier_id, caller)
        response.headers["ETag"] = etag(found.sequence)
        return counter.view(found, language)

    @router.get("/{dossier_id}/timeline")
    async def timeline(dossier_id: DossierId, caller: Citizen) -> list[TimelineEntry]:
        """Show everything that happened, in order."""
        await counter.own(dossier_id, caller)
        return [timeline_entry(recorded) for recorded in await counter.dossiers.recorded(dossier_id)]
