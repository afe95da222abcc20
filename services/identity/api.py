"""What operators see of checks and evidence: states, times, reasons. Never a personal value, sealed or not."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from services.identity.domain import Check, Evidence
from shared.auth import requires
from shared.journal import Journal, Outcome
from shared.relay import dossier_of
from shared.web.problems import NotFound

RequestId = Annotated[
    str, Path(alias="id", max_length=80, pattern=r"^[0-9a-z-]+:\d+$", description="Id of the requesting event.")
]


class CheckView(BaseModel):
    """An identity check without whom it is about."""

    model_config = ConfigDict(frozen=True)

    id: str
    dossier: str
    step: str
    state: Literal["open", "confirmed", "mismatched", "failed", "cancelled"]
    register_name: str
    reasons: tuple[str, ...] = Field(description="Which attributes differ, or why it was given up.")
    delayed: bool = Field(description="The register did not answer at first.")
    give_up_at: str
    changed_at: str

    @classmethod
    def of(cls, found: Outcome[Check]) -> Self:
        """The view of a stored check."""
        values = found.state.model_dump(include=set(cls.model_fields))
        return cls(id=found.subject, dossier=dossier_of(found.subject), state=found.state.outcome, **values)


class EvidenceView(BaseModel):
    """An evidence fetch without what was fetched."""

    model_config = ConfigDict(frozen=True)

    id: str
    dossier: str
    step: str
    claim: str
    state: Literal["open", "fetched", "unavailable", "cancelled"]
    fields: int = Field(description="How many fields the evidence fills.")
    reason: str | None
    delayed: bool = Field(description="The source did not answer at first.")
    give_up_at: str
    changed_at: str

    @classmethod
    def of(cls, found: Outcome[Evidence]) -> Self:
        """The view of a stored fetch."""
        values = found.state.model_dump(include=set(cls.model_fields))
        return cls(id=found.subject, dossier=dossier_of(found.subject), state=found.state.outcome, **values)


def routes(checks: Journal[Check], evidence: Journal[Evidence]) -> APIRouter:
    """The routes over both journals."""
    router = APIRouter(prefix="/v1", tags=["identity"], dependencies=[Depends(requires("operator", "caseworker"))])

    @router.get("/checks/{id}")
    async def read_check(request: RequestId) -> CheckView:
        """How an identity check stands."""
        found = await checks.state(request)
        if found is None:
            raise NotFound
        return CheckView.of(found)

    @router.get("/evidence/{id}")
    async def read_evidence(request: RequestId) -> EvidenceView:
        """How an evidence fetch stands."""
        found = await evidence.state(request)
        if found is None:
            raise NotFound
        return EvidenceView.of(found)

    return router
