"""The web frame's answers: problems, languages, access, health, headers, logs, traces, OpenAPI."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from shared.errors import StorageUnavailable
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.telemetry import recorded_logs, recorded_spans
from shared.testing.web import connected, problem
from shared.web.handlers import problem_response
from tests.unit.sample_app import AlreadyPaid, application


@pytest.fixture
def issuer() -> FakeIssuer:
    """The issuer that the application trusts."""
    return FakeIssuer(FakeEnvironment())


@pytest.fixture
async def client(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in memory."""
    async with connected(application(issuer)) as http:
        yield http


@pytest.mark.parametrize(
    ("wanted", "language", "title"),
    [
        ("fr-CH, de;q=0.5", "fr", "Introuvable"),
        ("it", "it", "Non trovato"),
        ("rm, en;q=0.1", "en", "Not found"),
        ("de;q=0, en", "en", "Not found"),
        ("es", "de", "Nicht gefunden"),
        ("", "de", "Nicht gefunden"),
        ("fr;q=banana, *", "de", "Nicht gefunden"),
    ],
)
async def test_problems_speak_the_callers_language(
    wanted: str, language: str, title: str, client: httpx.AsyncClient
) -> None:
    """Accept-Language decides, German is the default."""
    answer = await client.get("/nowhere", headers={"Accept-Language": wanted})
    assert problem(answer, 404, "not-found")["title"] == title
    assert answer.headers["content-language"] == language


async def test_a_wrong_method_names_the_right_ones(client: httpx.AsyncClient) -> None:
    """405 keeps the Allow header."""
    answer = await client.delete("/v1/me")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"


async def test_access_is_checked_over_http(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    """No token 401, wrong scope 403, weak sign-in 403, good token 200, issuer away 503 with Retry-After."""
    missing = await client.get("/v1/me")
    problem(missing, 401, "not-authenticated")
    assert missing.headers["www-authenticate"] == "Bearer"

    async def with_token(token: str) -> httpx.Response:
        return await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})

    issuer.down = True
    away = await with_token(issuer.token())
    problem(away, 503, "unavailable")
    assert away.headers["retry-after"] == "2"


async def test_scopes_and_levels_over_http(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    """The 403s say what is missing; the good token passes."""

    async def with_token(token: str) -> httpx.Response:
        return await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert problem(await with_token(issuer.token(scopes=("operator",))), 403, "scope-missing")["required_scopes"]
    weak = problem(await with_token(issuer.token(level=100)), 403, "assurance-too-low")
    assert (weak["required_assurance"], weak["assurance"]) == (2, 1)
    assert (await with_token(issuer.token("lea"))).json() == {"subject": "lea"}
    bad = await with_token(issuer.token(aud="other"))
    problem(bad, 401, "not-authenticated")
    assert bad.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_an_unforeseen_error_tells_nothing_but_is_logged(client: httpx.AsyncClient) -> None:
    """500 has no detail; the log has type and stack without the message; answer and log share the trace."""
    with recorded_spans() as exporter, recorded_logs() as lines:
        answer = await client.get("/v1/fails/bug?ahv=756.9217.0769.85")
    document = problem(answer, 500, "internal-error")
    assert "detail" not in document
    (failed,) = [line for line in lines if line["event"] == "request_failed"]
    assert failed["error"] == "RuntimeError"
    assert document["instance"] == f"urn:trace:{failed['trace_id']}"
    (span,) = exporter.get_finished_spans()
    assert not [text for text in (str(lines), answer.text, span.to_json()) if "756.9217" in text or "Lea" in text]


async def test_our_errors_have_their_own_answers(client: httpx.AsyncClient) -> None:
    """Business errors carry their status; storage that is away is 503 with Retry-After."""
    assert problem(await client.get("/v1/fails/business"), 409, "already-paid")["title"] == "Schon bezahlt"
    away = await client.get("/v1/fails/storage")
    problem(away, 503, "unavailable")
    assert away.headers["retry-after"] == "2"


async def test_the_access_log_names_the_template_not_the_address(client: httpx.AsyncClient) -> None:
    """Method, route, status and time; neither query nor ids; probes are left out."""
    with recorded_logs() as lines:
        await client.get("/v1/forms/4711?name=Lea")
        await client.get("/nowhere/756.9217.0769.85")
        await client.get("/health/live")
    requests = [line for line in lines if line["logger"] == "dossierbus.access"]
    assert [(r["method"], r["route"], r["status"]) for r in requests] == [
        ("GET", "/v1/forms/{number}", 200),
        ("GET", "unmatched", 404),
    ]
    assert not [text for text in ("forms/4711", "Lea", "756.9217") if text in str(requests)]


async def test_a_trace_goes_on_through_the_service(client: httpx.AsyncClient) -> None:
    """The server span continues the caller's traceparent and is named after the route."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    with recorded_spans() as exporter:
        await client.get("/v1/forms/3?name=Lea", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /v1/forms/{number}"
    assert f"{span.context.trace_id:032x}" == trace
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/v1/forms/{number}",
        "http.response.status_code": 200,
    }


async def test_security_headers_are_set_and_a_route_may_set_its_own(client: httpx.AsyncClient) -> None:
    """Answers are not sniffed, framed or stored; a stream keeps its own Cache-Control and all its chunks."""
    plain, stream = await client.get("/v1/forms/3"), await client.get("/v1/stream")
    assert plain.headers["x-content-type-options"] == "nosniff"
    assert plain.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in plain.headers["content-security-policy"]
    assert "strict-transport-security" not in plain.headers
    assert stream.headers.get_list("cache-control") == ["no-cache"]
    assert stream.text == "data: 1\n\ndata: 2\n\n"


async def test_readiness_names_what_failed(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 lists the checks that failed or took too long, without their messages; live stays up."""
    monkeypatch.setattr("shared.web.health.CHECK_TIMEOUT_SECONDS", 0.01)

    async def fine() -> None: ...

    async def broken() -> None:
        raise StorageUnavailable("mongodb://user:geheim@host")

    async def hanging() -> None:
        await asyncio.Event().wait()

    checks = {"mongodb": broken, "kafka": fine, "vault": hanging}
    async with connected(application(issuer, checks=checks)) as http:
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "down", "failed": ["mongodb", "vault"]})
        assert (await http.get("/health/live")).status_code == 200
    async with connected(application(issuer, checks={"kafka": fine})) as http:
        assert (await http.get("/health/ready")).json() == {"status": "up", "checks": ["kafka"]}


async def test_metrics_count_requests_by_template(client: httpx.AsyncClient) -> None:
    """Prometheus sees the route's template as label."""
    await client.get("/v1/forms/4712")
    text = (await client.get("/metrics")).text
    assert (
        'dossierbus_http_requests_total{method="GET",route="/v1/forms/{number}",service="intake",status="200"}' in text
    )
    assert "forms/4712" not in text


async def test_metrics_lead_to_traces(client: httpx.AsyncClient) -> None:
    """Who asks for OpenMetrics, as Prometheus does, gets with a duration the trace of a request that took so long."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    await client.get("/v1/forms/4712", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert f'# {{trace_id="{trace_id}"}}' in answer.text


async def test_openapi_documents_problems_and_the_login(client: httpx.AsyncClient) -> None:
    """Each operation documents its problems; protected ones their scheme; probes are not part of the API."""
    document = (await client.get("/openapi.json")).json()
    assert "/health/ready" not in document["paths"]
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            assert "422" not in operation["responses"]
    assert "Problem" in document["components"]["schemas"]
    assert document["paths"]["/v1/me"]["get"]["security"] == [{"oidc": []}]
    assert "security" not in document["paths"]["/v1/forms"]["get"]


async def test_the_lifespan_of_the_service_runs_inside_the_frames(issuer: FakeIssuer) -> None:
    """The service's own start and end run once each, in order."""
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        seen.append("start")
        yield
        seen.append("end")

    app = application(issuer, lifespan=lifespan)
    async with app.router.lifespan_context(app):
        assert seen == ["start"]
    assert seen == ["start", "end"]


def test_a_problem_without_trace_names_the_path_as_instance() -> None:
    """Outside of any trace the instance is the address without its query."""
    scope = {"type": "http", "path": "/v1/x", "query_string": b"name=Lea", "headers": []}
    document = json.loads(bytes(problem_response(AlreadyPaid("why"), scope).body))
    assert (document["instance"], document["detail"]) == ("/v1/x", "why")
