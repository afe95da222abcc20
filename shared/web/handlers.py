"""Turns every error of a request into a problem document in the caller's language. It tells nothing of a 500."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from shared.errors import NewerRelease, Transient
from shared.language import Language, negotiate
from shared.logs import error_types
from shared.telemetry import trace_id
from shared.web.problems import (
    MEDIA_TYPE,
    BadRequest,
    FieldProblem,
    Forbidden,
    IdempotencyKeyRequired,
    InternalError,
    Invalid,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    Problem,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from shared.web.sentences import sentence

log = logging.getLogger(__name__)

_BY_STATUS: Final[Mapping[int, type[Problem]]] = {
    kind.status: kind
    for kind in (BadRequest, NotAuthenticated, Forbidden, NotFound, MethodNotAllowed, TooLarge, UnsupportedMediaType)
}
NEWER_RELEASE_SECONDS: Final = 300
_LIMITS: Final = frozenset(
    {
        "min_length", "max_length", "gt", "ge", "lt", "le", "multiple_of", "expected", "expected_tags", "pattern",
    }
)  # fmt: skip


def install(app: FastAPI) -> None:
    """Register all handlers."""
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(Transient)(_on_transient)
    app.exception_handler(NewerRelease)(_on_newer_release)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http_exception)


def problem_response(problem: Problem, scope: Scope) -> Response:
    """The problem as `application/problem+json` in the language of Accept-Language."""
    language = language_of(scope)
    trace = trace_id()
    instance = f"urn:trace:{trace}" if trace else str(scope["path"])
    body = orjson.dumps(problem.document(language, instance))
    headers = {"Content-Language": language, "Vary": "Accept-Language", **problem.headers}
    return Response(body, problem.status, headers, MEDIA_TYPE)


def language_of(scope: Scope) -> Language:
    """The caller's language by Accept-Language."""
    return negotiate(Headers(scope=scope).get("accept-language"))


def unhandled(error: Exception, scope: Scope) -> Response:
    """Log an error that nobody foresaw, by type and stack only, and answer 500."""
    log.error("request_failed", exc_info=error, extra={"method": scope["method"]})
    return problem_response(InternalError(), scope)


async def _on_problem(request: Request, problem: Exception) -> Response:
    return problem_response(problem if isinstance(problem, Problem) else InternalError(), request.scope)


async def _on_transient(request: Request, error: Exception) -> Response:
    log.warning("dependency_unavailable", extra={"error_type": error_types(error)})
    return problem_response(Unavailable(), request.scope)


async def _on_newer_release(request: Request, error: Exception) -> Response:
    """After a rollback: nothing is wrong with the request, and the release that can answer it will come back."""
    log.error("written_by_a_newer_release", extra={"error_type": error_types(error)})
    return problem_response(Unavailable(retry_after_seconds=NEWER_RELEASE_SECONDS), request.scope)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(getattr(error, "headers", None) or {})
    kind = _BY_STATUS.get(status, InternalError if status >= 500 else BadRequest)
    return problem_response(kind(headers=headers), request.scope)


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        return unhandled(error, request.scope)
    errors = tuple(_field_problems(error.errors(), error.body))
    missing_key = any(e.location == "header" and e.pointer.lower() == "/idempotency-key" for e in errors)
    problem = IdempotencyKeyRequired(errors=errors) if missing_key else Invalid(errors=errors)
    return problem_response(problem, request.scope)


def _field_problems(errors: Sequence[Any], body: Any) -> Iterator[FieldProblem]:
    for error in errors:
        location, *path = error["loc"]
        limits = {name: value for name, value in (error.get("ctx") or {}).items() if name in _LIMITS}
        pointer = _body_pointer(path, body, error["type"]) if location == "body" else "".join(map(_token, path))
        yield FieldProblem(pointer, error["type"], sentence(error["type"], limits), location)


def _body_pointer(path: Sequence[str | int], body: Any, code: str) -> str:
    """JSON Pointer to where the error is; parts that pydantic adds for unions and validators are left out."""
    pointer = ""
    for position, part in enumerate(path):
        if _has(body, part):
            body = body[part]
        elif code != "missing" or position < len(path) - 1:
            continue
        pointer += _token(part)
    return pointer


def _has(body: Any, part: str | int) -> bool:
    if isinstance(body, list):
        return isinstance(part, int) and part < len(body)
    return isinstance(body, Mapping) and part in body


def _token(part: str | int) -> str:
    return "/" + str(part).replace("~", "~0").replace("/", "~1")
