"""The web frame: problems, bodies, languages, versions, pages, health, headers, logs."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import Depends, FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from shared.auth import Caller, public, requires
from shared.errors import StorageUnavailable
from shared.language import LANGUAGES, texts
from shared.settings import CommonSettings
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.telemetry import recorded_logs, recorded_spans
from shared.web.app import create_app
from shared.web.body import MAX_BODY_BYTES, MAX_DEPTH
from shared.web.handlers import problem_response
from shared.web.headers import CallerLanguage, ExpectedVersion, IdempotencyKey, check_version, etag
from shared.web.pages import Cursor, Limit, Page, read_cursor, write_cursor
from shared.web.problems import Conflict, CursorInvalid
from shared.web.sentences import SENTENCES, sentence

OPEN = [Depends(public("a test"))]
KEY = b"k" * 32
JSON = {"Content-Type": "application/json"}
WRITE = {"Idempotency-Key": "key-12345"}


class Form(BaseModel):
    """A body with the usual kinds of fields."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=20)
    instalments: int = Field(ge=1, le=12)
    kind: Literal["a", "b"] = "a"
    children: list["Form"] = []


class AlreadyPaid(Conflict):
    """A service's own problem."""

    slug = "already-paid"
    title = texts("Schon bezahlt", "Déjà payé", "Già pagato", "Already paid")


def settings(**more: Any) -> CommonSettings:
    """Settings of a test role."""
    key = base64.b64encode(KEY).decode()
    good = {
        "mongodb_uri": "mongodb://127.0.0.1/t",
        "journal_key": key,
        "hash_key": key,
        "oidc_issuer": "https://i.example",
    }
    return CommonSettings.model_validate(good | more)


def application(issuer: FakeIssuer, **more: Any) -> FastAPI:
    """An application with one route for each thing to see."""
    app = create_app("Test", "intake", settings=settings(), verifier=issuer.verifier(), **more)

    @app.post("/v1/forms/{number}", dependencies=OPEN)
    async def write(number: int, form: Form, key: IdempotencyKey, expected: ExpectedVersion) -> dict[str, Any]:
        check_version(expected, 7)
        return {"number": number, "name": form.name, "key": key}

    @app.get("/v1/forms/{number}", dependencies=OPEN)
    async def read(number: int, response: Response, language: CallerLanguage) -> dict[str, Any]:
        response.headers["ETag"] = etag(7)
        return {"language": language}

    @app.get("/v1/forms", dependencies=OPEN)
    async def listed(limit: Limit = 2, cursor: Cursor = None) -> Page[int]:
        position = read_cursor(KEY, "forms", cursor)
        start = int(position[0]) if position else 0
        return Page(items=list(range(start, start + limit)), next=write_cursor(KEY, "forms", (start + limit,)))

    @app.get("/v1/me")
    async def me(caller: Annotated[Caller, Depends(requires("citizen", assurance=2))]) -> dict[str, str]:
        return {"subject": caller.subject}

    @app.get("/v1/fails/{how}", dependencies=OPEN)
    async def fails(how: str) -> None:
        if how == "bug":
            raise RuntimeError("Lea Muster, 756.9217.0769.85")
        raise StorageUnavailable("away") if how == "storage" else AlreadyPaid()

    @app.get("/v1/stream", dependencies=OPEN)
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            yield b"data: 2\n\n"

        return StreamingResponse(chunks(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    return app


@pytest.fixture
def issuer() -> FakeIssuer:
    """The issuer that the application trusts."""
    return FakeIssuer(FakeEnvironment())


@pytest.fixture
async def client(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in memory."""
    async with connected(application(issuer)) as http:
        yield http


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks ASGI; a bug must be answered, never raised through."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://counter.example") as http:
        yield http


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem document, after checking what all of them have in common."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == f"https://dossierbus.org/problems/{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["instance"]
    return document


async def test_a_good_write_is_answered(client: httpx.AsyncClient) -> None:
    """Body, header and path arrive."""
    answer = await client.post("/v1/forms/3", json={"name": "Müster", "instalments": 2}, headers=WRITE)
    assert answer.json() == {"number": 3, "name": "Müster", "key": "key-12345"}


async def test_every_wrong_field_is_named_with_what_was_expected(client: httpx.AsyncClient) -> None:
    """Pointers lead to the fields, the sentences name limits and never the value sent."""
    body = {"name": "x" * 21, "instalments": 99, "kind": "geheim", "extra": 1, "children": [{"name": "ok"}]}
    answer = await client.post("/v1/forms/3", json=body, headers=WRITE | {"Accept-Language": "en"})
    document = problem(answer, 422, "validation-failed")
    assert {(e["pointer"], e["code"]): e["detail"] for e in document["errors"]} == {
        ("/name", "string_too_long"): "Expected at most 20 characters.",
        ("/instalments", "less_than_equal"): "Expected at most 12.",
        ("/kind", "literal_error"): "Expected one of these values: 'a' or 'b'.",
        ("/extra", "extra_forbidden"): "This field is not provided for.",
        ("/children/0/instalments", "missing"): "This value is missing.",
    }
    assert not [value for value in ("xxxx", "99", "geheim") if value in answer.text]


async def test_wrong_parameters_say_where_they_are(client: httpx.AsyncClient) -> None:
    """A query or path parameter is marked as such."""
    errors = problem(await client.get("/v1/forms?limit=0"), 422, "validation-failed")["errors"]
    assert [(e["in"], e["pointer"], e["code"]) for e in errors] == [("query", "/limit", "greater_than_equal")]
    errors = problem(await client.get("/v1/forms/x"), 422, "validation-failed")["errors"]
    assert [(e["in"], e["pointer"], e["code"]) for e in errors] == [("path", "/number", "int_parsing")]


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


DEEP = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"{'a': 1}", b'{"name": NaN}', b'{"name": 1e999}', b'{"name": "a", "name": "b"}', b"\xff", b'"\\ud800"',
        DEEP.encode(), b"[" * 200_000, b"1" * 5000,
    ],
    ids=["cut", "quotes", "nan", "infinite", "twice", "utf-8", "surrogate", "deep", "very-deep", "long-number"],
)  # fmt: skip
async def test_json_is_read_strictly(body: bytes, client: httpx.AsyncClient) -> None:
    """What parsers read differently, or choke on, is 400 before any handler sees it."""
    problem(await client.post("/v1/forms/3", content=body, headers=JSON | WRITE), 400, "malformed-json")


async def test_nesting_is_allowed_up_to_the_limit(client: httpx.AsyncClient) -> None:
    """32 levels are fine (and then fail as a form)."""
    body = DEEP[1:-1].encode()
    problem(await client.post("/v1/forms/3", content=body, headers=JSON | WRITE), 422, "validation-failed")


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "application/json; charset=latin-1"])
async def test_only_json_is_accepted(media_type: str, client: httpx.AsyncClient) -> None:
    """Any other media type is 415."""
    answer = await client.post("/v1/forms/3", content=b"{}", headers={"Content-Type": media_type} | WRITE)
    problem(answer, 415, "unsupported-media-type")


async def test_json_with_utf_8_charset_is_accepted(client: httpx.AsyncClient) -> None:
    """The customary parameter is harmless."""
    headers = {"Content-Type": 'application/json; charset="UTF-8"'} | WRITE
    answer = await client.post("/v1/forms/3", content=b'{"name": "a", "instalments": 1}', headers=headers)
    assert answer.status_code == 200


async def test_large_bodies_are_refused_announced_or_chunked(client: httpx.AsyncClient) -> None:
    """1 MiB is the limit, whether the length is told before or not, and reading stops there."""
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * 65_536

    announced = await client.post("/v1/forms/3", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON | WRITE)
    problem(announced, 413, "too-large")
    problem(await client.post("/v1/forms/3", content=chunks(), headers=JSON | WRITE), 413, "too-large")
    assert sent == 17


@pytest.mark.parametrize("key", [None, "short", "x" * 129, "with space in it", "umläut-key"])
async def test_writes_need_an_idempotency_key(key: str | None, client: httpx.AsyncClient) -> None:
    """Missing, too short, too long or not visible ASCII: 400 before anything happens."""
    headers = {} if key is None else {"Idempotency-Key": key.encode("latin-1")}
    answer = await client.post("/v1/forms/3", json={"name": "a", "instalments": 1}, headers=headers)  # type: ignore[arg-type]
    document = problem(answer, 400, "idempotency-key-required")
    assert document["errors"][0]["in"] == "header"


@pytest.mark.parametrize(("if_match", "status"), [('"7"', 200), ("*", 200), ('"6"', 412), ('W/"7"', 412), ("7", 412)])
async def test_changes_can_be_bound_to_a_version(if_match: str, status: int, client: httpx.AsyncClient) -> None:
    """Only the present version passes; the refusal names the present one where it is known."""
    body = {"name": "a", "instalments": 1}
    answer = await client.post("/v1/forms/3", json=body, headers=WRITE | {"If-Match": if_match})
    assert answer.status_code == status
    if if_match == '"6"':
        assert problem(answer, 412, "version-stale")
        assert answer.headers["etag"] == (await client.get("/v1/forms/3")).headers["etag"] == '"7"'


async def test_pages_follow_their_cursor(client: httpx.AsyncClient) -> None:
    """The next page starts where the last one ended."""
    first = (await client.get("/v1/forms")).json()
    second = (await client.get("/v1/forms", params={"cursor": first["next"], "limit": 3})).json()
    assert (first["items"], second["items"]) == ([0, 1], [2, 3, 4])


async def test_a_changed_cursor_is_refused(client: httpx.AsyncClient) -> None:
    """A cursor that we did not sign is 400, whatever it contains."""
    good: str = (await client.get("/v1/forms")).json()["next"]
    for cursor in ("", "x", "é", good[:-1], "A" + good[1:]):
        problem(await client.get("/v1/forms", params={"cursor": cursor}), 400, "cursor-invalid")


def test_a_cursor_is_good_for_its_own_list_only() -> None:
    """Lists, callers and filters are part of the signature; so is the key."""
    cursor = write_cursor(KEY, "forms:lea", (1, "x"))
    assert read_cursor(KEY, "forms:lea", cursor) == (1, "x")
    for key, scope in ((KEY, "forms:eve"), (b"o" * 32, "forms:lea")):
        with pytest.raises(CursorInvalid):
            read_cursor(key, scope, cursor)


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


def test_every_sentence_has_all_languages_and_the_same_placeholders() -> None:
    """No language lacks a sentence or a limit; unknown errors and missing limits fall back to a general sentence."""
    for code, translations in SENTENCES.items():
        assert set(translations) == set(LANGUAGES)
        assert len({text.count("{") for text in translations.values()}) == 1, code
    assert sentence("something_new", {}) == sentence("string_too_long", {})
    assert len(set(sentence("missing", {}).values())) == len(LANGUAGES)


def test_a_problem_without_trace_names_the_path_as_instance() -> None:
    """Outside of any trace the instance is the address without its query."""
    scope = {"type": "http", "path": "/v1/x", "query_string": b"name=Lea", "headers": []}
    document = json.loads(bytes(problem_response(AlreadyPaid("why"), scope).body))
    assert (document["instance"], document["detail"]) == ("/v1/x", "why")
