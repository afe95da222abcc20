"""The municipal services as anybody may see them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict

from services.intake.api.counter import Counter
from services.intake.catalogue.model import MunicipalService
from shared.auth import public
from shared.contracts.status import Language
from shared.web.headers import CallerLanguage
from shared.web.problems import NotFound


class StepSummary(BaseModel):
    """A step and what it comes after."""

    model_config = ConfigDict(frozen=True)
    id: str
    kind: str
    title: str
    after: tuple[str, ...]
    authority: str


class ServiceView(BaseModel):
    """A municipal service in one language."""

    model_config = ConfigDict(frozen=True)
    id: str
    version: int
    title: str
    summary: str
    authority: str
    assurance: int
    fee: dict[str, Any] | None
    form: dict[str, Any]
    ui: dict[str, Any]
    evidence: tuple[dict[str, str], ...]
    steps: tuple[StepSummary, ...]


def routes(counter: Counter) -> APIRouter:
    """Return the routes of the catalogue."""
    router = APIRouter(prefix="/v1/services", tags=["services"], dependencies=[Depends(public("the town's offer"))])

    @router.get("")
    async def services(language: CallerLanguage) -> list[ServiceView]:
        """List the municipal services."""
        return [_view(service, language) for service in counter.offered().values()]

    @router.get("/{service_id}")
    async def service(
        service_id: Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,39}$")], language: CallerLanguage
    ) -> ServiceView:
        """Show one municipal service with its form."""
        found = counter.offered().get(service_id)
        if found is None:
            raise NotFound
        return _view(found, language)

    return router


def _view(service: MunicipalService, language: Language) -> ServiceView:
    names = {authority.id: authority.name[language] for authority in service.authorities}
    return ServiceView(
        id=service.id,
        version=service.version,
        title=service.title[language],
        summary=service.summary[language],
        authority=service.authority.name[language],
        assurance=service.assurance,
        fee=service.fee.model_dump() if service.fee else None,
        form=service.form,
        ui={field: _translated(hints, language) for field, hints in service.ui.items()},
        evidence=tuple(
            {"step": step.id, "title": step.evidence.title[language], "legal_basis": step.evidence.legal_basis}
            for step in service.steps
            if step.evidence
        ),
        steps=tuple(
            StepSummary(
                id=step.id,
                kind=step.kind,
                title=step.title[language],
                after=step.after,
                authority=names[service.authority_of(step)],
            )
            for step in service.steps
        ),
    )


def _translated(hints: dict[str, Any], language: Language) -> dict[str, Any]:
    words: dict[str, Any] = {name: hints[name].get(language) for name in ("label", "help") if name in hints}
    options = {value: texts[language] for value, texts in hints.get("options", {}).items()}
    unit = {"unit": hints["unit"]} if "unit" in hints else {}
    return {"label": None, **words, **unit, **({"options": options} if options else {})}
