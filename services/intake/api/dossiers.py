"""The applicant's routes: hand in, look, agree, pay, withdraw, download."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict

from services.intake import domain
from services.intake.api.counter import Counter
from services.intake.api.views import DossierView, TimelineEntry, timeline_entry
from services.intake.documents.render import render
from services.intake.issuing import bill_facts
from services.intake.submission import PURPOSES, Submission, accept, check_submission
from shared.auth import Caller, requires
from shared.contracts.dossier import PaymentMethod
from shared.language import texts
from shared.vault import Erased
from shared.web.headers import CallerLanguage, ExpectedVersion, IdempotencyKey, etag
from shared.web.pages import Cursor, Limit, Page, read_cursor, write_cursor
from shared.web.problems import FieldProblem, Gone, Invalid, NotFound

Citizen = Annotated[Caller, Depends(requires("citizen"))]
DossierId = Annotated[str, Path(pattern=r"^[0-9a-z]{26}$", description="Id of a dossier.")]
StepId = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="A step of the service.")]

_UNKNOWN_SERVICE = texts(
    "Erwartet wird eine Dienstleistung aus GET /v1/services.",
    "Une prestation de GET /v1/services est attendue.",
    "È attesa una prestazione di GET /v1/services.",
    "Expected a service from GET /v1/services.",
)


class Consent(BaseModel):
    """Whether the evidence may be fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    granted: bool


class Confirmation(BaseModel):
    """Whether the previewed evidence may be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    accepted: bool


class PaymentChoice(BaseModel):
    """How to pay the next attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    method: PaymentMethod


class EvidencePreview(BaseModel):
    """The fetched evidence, for the applicant's eyes before it is used."""

    model_config = ConfigDict(frozen=True)
    step: str
    title: str
    evidence: dict[str, object]


def routes(counter: Counter) -> APIRouter:
    """Return the applicant's routes."""
    router = APIRouter(prefix="/v1/dossiers", tags=["dossiers"])
    _submitting(router, counter)
    _looking(router, counter)
    _acting(router, counter)
    _downloading(router, counter)
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
        accepted = await accept(service, body, caller, counter.people, keys)
        outcome = await counter.command(
            dossier_id,
            domain.submit(accepted.submitted, accepted.consents),
            counter.cause(caller, key, "submit", body.model_dump(mode="json")),
            creates=True,
        )
        response.headers["Location"] = f"/v1/dossiers/{dossier_id}"
        response.headers["ETag"] = etag(outcome.sequence)
        return counter.view(outcome, language)


def _looking(router: APIRouter, counter: Counter) -> None:
    @router.get("")
    async def my_dossiers(
        caller: Citizen, language: CallerLanguage, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[DossierView]:
        """List the caller's dossiers."""
        applicant = await counter.people.applicant(caller.subject)
        scope = f"dossiers/{applicant}"
        position = read_cursor(counter.settings.hash_key, scope, cursor)
        after = str(position[0]) if position else ""
        heads = await counter.store.find({"state.applicant": applicant}, limit=limit + 1, after=after)
        shown = [counter.view(outcome, language) for outcome in counter.outcomes(heads[:limit])]
        more = write_cursor(counter.settings.hash_key, scope, [shown[-1].id]) if len(heads) > limit else None
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

    @router.get("/{dossier_id}/evidence/{step}")
    async def preview(
        dossier_id: DossierId, step: StepId, caller: Citizen, language: CallerLanguage
    ) -> EvidencePreview:
        """Show fetched evidence before it is used."""
        dossier = (await counter.own(dossier_id, caller)).state
        request, definition = dossier.request_of(step), counter.service(dossier).step(step)
        if request is None or request.kind != "evidence" or not request.sealed or not definition:
            raise NotFound
        evidence = (await counter.vault.open(dossier_id)).unseal("evidence", request.sealed)
        if evidence is Erased or not isinstance(evidence, dict):
            raise Gone
        return EvidencePreview(step=step, title=definition.title[language], evidence=evidence)


def _acting(router: APIRouter, counter: Counter) -> None:
    @router.post("/{dossier_id}/consents/{step}")
    async def consent(
        dossier_id: DossierId,
        step: StepId,
        body: Consent,
        caller: Citizen,
        key: IdempotencyKey,
        expected: ExpectedVersion,
        language: CallerLanguage,
    ) -> DossierView:
        """Let the town fetch a piece of evidence, or not."""
        await counter.own(dossier_id, caller)
        decide = domain.answer_consent(counter.service, step, granted=body.granted)
        cause = counter.cause(caller, key, f"consent/{step}", body.model_dump())
        return counter.view(await counter.command(dossier_id, decide, cause, expected=expected), language)

    @router.post("/{dossier_id}/evidence/{step}")
    async def confirm(
        dossier_id: DossierId,
        step: StepId,
        body: Confirmation,
        caller: Citizen,
        key: IdempotencyKey,
        expected: ExpectedVersion,
        language: CallerLanguage,
    ) -> DossierView:
        """Let fetched evidence be used, or not."""
        await counter.own(dossier_id, caller)
        decide = domain.confirm_evidence(counter.service, step, accepted=body.accepted)
        cause = counter.cause(caller, key, f"evidence/{step}", body.model_dump())
        return counter.view(await counter.command(dossier_id, decide, cause, expected=expected), language)

    @router.post("/{dossier_id}/payments")
    async def pay(
        dossier_id: DossierId,
        body: PaymentChoice,
        caller: Citizen,
        key: IdempotencyKey,
        expected: ExpectedVersion,
        language: CallerLanguage,
    ) -> DossierView:
        """Start another payment attempt."""
        await counter.own(dossier_id, caller)
        decide = domain.pay_again(counter.service, body.method, counter.settings.deadline_scale)
        cause = counter.cause(caller, key, "payments", body.model_dump())
        return counter.view(await counter.command(dossier_id, decide, cause, expected=expected), language)

    @router.post("/{dossier_id}/withdrawal")
    async def withdraw(
        dossier_id: DossierId, caller: Citizen, key: IdempotencyKey, expected: ExpectedVersion, language: CallerLanguage
    ) -> DossierView:
        """Withdraw the request; a fee that was paid goes back."""
        await counter.own(dossier_id, caller)
        cause = counter.cause(caller, key, "withdrawal", {})
        return counter.view(await counter.command(dossier_id, domain.withdraw(), cause, expected=expected), language)


_PDF: dict[int | str, dict[str, object]] = {200: {"content": {"application/pdf": {}}, "description": "The PDF."}}


def _downloading(router: APIRouter, counter: Counter) -> None:
    @router.get("/{dossier_id}/bill", response_class=Response, responses=_PDF)
    async def bill(dossier_id: DossierId, caller: Citizen) -> Response:
        """Download the QR-bill of the fee."""
        dossier = (await counter.own(dossier_id, caller)).state
        request = next((one for one in dossier.requests.values() if one.reference and not one.cancelled), None)
        fee = counter.service(dossier).fee
        if request is None or request.reference is None or fee is None:
            raise NotFound
        facts = bill_facts(dossier, fee.amount, request.reference, counter.settings, dossier.submitted_at)
        return _pdf(render("payment-slips", facts, dossier.language), f"bill-{dossier.id[:8]}")

    @router.get("/{dossier_id}/documents/{document}", response_class=Response, responses=_PDF)
    async def download(
        dossier_id: DossierId, document: Annotated[str, Path(pattern=r"^[0-9a-z-]{1,80}$")], caller: Citizen
    ) -> Response:
        """Download an issued document."""
        dossier = (await counter.own(dossier_id, caller)).state
        sealed = await counter.files.get(document) if document in dossier.documents else None
        if sealed is None:
            raise NotFound
        pdf = (await counter.vault.open(dossier_id)).unseal_bytes(document, sealed)
        if not isinstance(pdf, bytes):
            raise Gone
        return _pdf(pdf, document)


def _pdf(content: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"', "Cache-Control": "private, no-store"}
    return Response(content, media_type="application/pdf", headers=headers)
