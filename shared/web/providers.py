"""The operators' look at providers that cannot be reached. Reads what the workers wrote; calls nobody."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from shared.auth import Caller, requires
from shared.circuit import CircuitState, unreachable
from shared.environment import Environment, timestamp
from shared.store.circuits import MongoCircuits
from shared.web.headers import CallerLanguage


class OutageView(BaseModel):
    """A provider that cannot be reached."""

    model_config = ConfigDict(frozen=True)

    provider: str
    state: CircuitState = Field(description="`open`: calls are held back; `trying`: one call looks whether it is back.")
    since: str
    waiting: int = Field(description="Dossiers with work that was tried and is not done.")
    text: str


def routes(circuits: MongoCircuits, environment: Environment) -> APIRouter:
    """Return the route over a service's own providers."""
    router = APIRouter(prefix="/v1/operations", tags=["operations"])

    @router.get("/providers", summary="List providers that cannot be reached")
    async def providers(
        caller: Annotated[Caller, Depends(requires("operations"))], language: CallerLanguage
    ) -> list[OutageView]:
        """Return who cannot be reached, since when, and how many dossiers wait; nothing means that all is well."""
        now = environment.now()
        return [
            OutageView(
                provider=one.provider,
                state=one.state,
                since=timestamp(one.since),
                waiting=one.waiting,
                text=unreachable(one.provider, one.since, one.waiting, now)[language],
            )
            for one in await circuits.outages()
        ]

    return router
