"""Which scopes and assurances a route asks for, and what a caller without them is told."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI

from shared.auth import (
    Caller,
    Public,
    Requires,
    declared_access,
    public,
    requires,
)
from shared.web.app import api_routes
from shared.web.problems import AssuranceTooLow, ScopeMissing

LEA = Caller("lea", frozenset({"citizen"}), 2)


def test_any_one_of_the_scopes_is_enough() -> None:
    """requires("citizen", "caseworker") is for citizens and for case workers."""
    requires("citizen", "caseworker", assurance=2).check(LEA)
    requires().check(Caller("x", frozenset(), 0))


def test_a_missing_scope_is_named() -> None:
    """403 says which scopes would do."""
    with pytest.raises(ScopeMissing) as caught:
        requires("operator", "caseworker").check(LEA)
    assert caught.value.extra == {"required_scopes": ["caseworker", "operator"]}
    assert "caseworker, operator" in caught.value.document("it", "/x")["detail"]


def test_a_weak_sign_in_is_told_the_level_it_needs() -> None:
    """403 `assurance-too-low` names the level, so that a portal can ask for a stronger sign-in."""
    with pytest.raises(AssuranceTooLow) as caught:
        requires("citizen", assurance=3).check(LEA)
    document = caught.value.document("en", "/x")
    assert document["type"].endswith("/assurance-too-low")
    assert (document["required_assurance"], document["assurance"]) == (3, 2)


def test_every_route_tells_its_access_also_nested_ones() -> None:
    """declared_access() finds parameters, route and router dependencies; a forgotten route shows as empty."""
    router = APIRouter(prefix="/v1", dependencies=[Depends(requires("operator"))])

    @router.get("/inherited")
    async def inherited() -> None: ...

    app = FastAPI(openapi_url=None)

    @app.get("/parameter")
    async def parameter(caller: Annotated[Caller, Depends(requires("citizen", assurance=1))]) -> None: ...

    @app.get("/open", dependencies=[Depends(public("a reason"))])
    async def opened() -> None: ...

    @app.get("/forgotten")
    async def forgotten() -> None: ...

    app.include_router(router)
    assert {route.path: declared_access(route) for route in api_routes(app)} == {
        "/v1/inherited": (Requires(frozenset({"operator"}), 0),),
        "/parameter": (Requires(frozenset({"citizen"}), 1),),
        "/open": (Public("a reason"),),
        "/forgotten": (),
    }


def test_a_public_route_needs_a_reason() -> None:
    """Nobody opens a route without saying why."""
    with pytest.raises(ValueError, match="why"):
        public(" ")
