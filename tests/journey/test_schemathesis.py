"""Every operation of every OpenAPI document, with requests that fit it and requests that do not: never a 5xx.

Answers have a documented status, media type, schema and headers; every refusal is problem details. Bounded and
derandomized, so that it finds the same at each run.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.local.journeys.crowd import residents
from deploy.local.journeys.town import Citizen, Town
from deploy.local.stack import Stack
from shared.web.problems import MEDIA_TYPE

EXAMPLES: Final = 25
ROLES: Final = ("intake-api", "identity-api", "payments-api", "notifications-api", "analytics-api")
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422})
ENDLESS: Final = frozenset({"/v1/kpis/stream"})
STAFF_SCOPES: Final = ("caseworker", "operator", "operations")
STAFF: Final = ("/v1/reviews", "/details", "/decisions")
SETTINGS: Final = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
Send = Callable[[Case[Any]], None]


@pytest.fixture(scope="module")
def known(stack: Stack) -> dict[str, Any]:
    """A dossier of our own, so that not everything is not found, and tokens by scope."""
    return asyncio.run(_prepare(stack))


async def _prepare(stack: Stack) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=20) as http:
        town = Town.of(stack, http)
        citizen = Citizen(town, (await residents(town))[4])
        form = {"purpose": "bank", "content": "simple"}
        await citizen.submit("residence-certificate", form, consents=["residence"], payment_method="invoice")
        await citizen.payable()
        await citizen.until("evidence_ready")
        tokens = {scope: await town.token(f"fuzzing-{scope}", scope) for scope in STAFF_SCOPES}
        tokens["agency"] = await town.token("fuzzing-agency", "agency", agency="debt-office")
        return {"dossier": citizen.dossier, "tokens": {**tokens, "citizen": await citizen.token()}}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
@pytest.mark.parametrize("role", ROLES)
def test_answers_are_as_documented(stack: Stack, known: dict[str, Any], role: str, mode: GenerationMode) -> None:
    """Each operation, called 25 times: no 5xx, and nothing that its OpenAPI document does not tell."""
    schema = schemathesis.openapi.from_url(f"{stack.url(role)}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == sum(len(methods) for methods in schema.raw_schema["paths"].values())
    for operation in operations:
        # Some operations have nothing that could be wrong.
        if operation.path in ENDLESS or (mode is GenerationMode.NEGATIVE and not _has_input(operation)):
            continue
        send = _sender(stack.url(role), known, _scopes(role, operation.path))
        SETTINGS(given(case=operation.as_strategy(generation_mode=mode))(send))()


def _has_input(operation: Any) -> bool:
    return bool(operation.body or operation.path_parameters or operation.query or operation.headers)


def _scopes(role: str, path: str) -> tuple[str, ...]:
    if path.startswith("/v1/operations"):
        return ("operations",)
    if role != "intake-api":
        return ("operator", "caseworker")
    return ("caseworker", "agency") if path.endswith(STAFF) else ("citizen",)


def _sender(url: str, known: Mapping[str, Any], scopes: tuple[str, ...]) -> Send:
    """Return what sends a case: scopes take turns, and every second time it is about a dossier that there is."""
    turn = 0

    def send(case: Case[Any]) -> None:
        nonlocal turn
        turn += 1
        if turn % 2:
            _about(case, known["dossier"])
        headers = {"Authorization": f"Bearer {known['tokens'][scopes[turn % len(scopes)]]}"}
        if case.method == "POST" and turn % 5:
            headers["Idempotency-Key"] = uuid4().hex
        answer = case.call(base_url=url, headers=headers, timeout=20)
        case.validate_response(answer, checks=CHECKS)
        media_type = (answer.headers.get("content-type") or [""])[0]
        refused = answer.status_code >= 400
        assert not refused or (answer.status_code in REFUSALS and media_type == MEDIA_TYPE), case.as_curl_command()

    return send


def _about(case: Case[Any], dossier: str) -> None:
    real = {"dossier_id": dossier, "step": "residence", "id": f"{dossier}:2", "payment": f"{dossier}:3"}
    for name in case.path_parameters or {}:
        if name in real:
            case.path_parameters[name] = real[name]
    if "dossier" in (case.query or {}):
        case.query["dossier"] = dossier
