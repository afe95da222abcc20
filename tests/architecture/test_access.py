"""Every HTTP route of every service says who may call it."""

from typing import Any

import pytest

from shared.auth import Requires, declared_access
from shared.web.app import api_routes
from tests.contract.roles import SERVICES, service, wired

SCOPES = {"citizen", "caseworker", "operator", "operations", "agency", "service"}


ROLES = [(name, role) for name in SERVICES for role in service(name).roles]


async def _routes(name: str, role: str) -> list[Any]:
    async with wired(service(name), role, in_memory=(name, role) != ("intake", "api")) as bus:
        assert bus.app is not None
        return list(api_routes(bus.app))


@pytest.mark.parametrize(("name", "role"), ROLES)
async def test_every_route_declares_access(name: str, role: str) -> None:
    """A route asks for known scopes, or says why anybody may call it; forgetting is found here."""
    routes = await _routes(name, role)
    assert routes
    for route in routes:
        access = declared_access(route)
        assert access, f"{name} {role}: {route.path} declares neither requires(…) nor public(…)"
        scopes = [one.scopes for one in access if isinstance(one, Requires)]
        assert all(asked and asked <= SCOPES for asked in scopes), f"{route.path}: expected one or more of {SCOPES}"


@pytest.mark.parametrize(("name", "role"), ROLES)
async def test_every_role_has_probes_and_metrics(name: str, role: str) -> None:
    """Workers too can be asked whether they live, are ready, and what they count."""
    paths = {route.path for route in await _routes(name, role)}
    assert {"/health/live", "/health/ready", "/metrics"} <= paths
