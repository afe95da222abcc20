"""What applicants read that was sealed: the evidence's preview, the bill, the documents. Stores nothing."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict

from services.intake.api.counter import Counter
from services.intake.api.dossiers import Citizen, DossierId, StepId
from services.intake.documents.render import render
from services.intake.issuing import bill_facts
from shared.vault import Erased
from shared.web.headers import CallerLanguage
from shared.web.problems import Gone, NotFound


class EvidencePreview(BaseModel):
    """The fetched evidence, for the applicant's eyes before it is used."""

    model_config = ConfigDict(frozen=True)
    step: str
    title: str
    evidence: dict[str, object]


def routes(counter: Counter) -> APIRouter:
    """Return the routes of what was sealed."""
    router = APIRouter(prefix="/v1/dossiers/{dossier_id}", tags=["dossiers"])
    _previewing(router, counter)
    _downloading(router, counter)
    return router


def _previewing(router: APIRouter, counter: Counter) -> None:
    @router.get("/evidence/{step}")
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


_PDF: dict[int | str, dict[str, object]] = {200: {"content": {"application/pdf": {}}, "description": "The PDF."}}


def _downloading(router: APIRouter, counter: Counter) -> None:
    @router.get("/bill", response_class=Response, responses=_PDF)
    async def bill(dossier_id: DossierId, caller: Citizen) -> Response:
        """Download the QR-bill of the fee."""
        dossier = (await counter.own(dossier_id, caller)).state
        request = next((one for one in dossier.requests.values() if one.reference and not one.cancelled), None)
        fee = counter.service(dossier).fee
        if request is None or request.reference is None or fee is None:
            raise NotFound
        facts = bill_facts(dossier, fee.amount, request.reference, counter.settings, dossier.submitted_at)
        return _pdf(render("payment-slips", facts, dossier.language), f"bill-{dossier.id[:8]}")

    @router.get("/documents/{document}", response_class=Response, responses=_PDF)
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
