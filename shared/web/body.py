"""Request bodies: JSON only, at most 1 MiB, strict, in time. A pure ASGI middleware: reads a body once, hands it on.

A route that must see the bytes themselves (a signed webhook, an XML file) is listed in `raw_bodies` with the media
types it takes; only its size is checked here. Else refused with 400: malformed JSON, a name twice in an object, NaN and
infinities, lone surrogates, more than 32 levels.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.language import Texts, texts
from shared.web.handlers import problem_response
from shared.web.problems import MalformedJson, Problem, RequestTimeout, TooLarge, UnsupportedMediaType

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_DRAINED_BYTES: Final = 8 * MAX_BODY_BYTES
MAX_DEPTH: Final = 32

RawBodies: TypeAlias = Mapping[str, Collection[str]]
"""Full path of a route -> media types whose bodies it gets unread."""

_NOT_JSON = texts(
    "Erwartet wird JSON nach RFC 8259 in UTF-8.",
    "Du JSON selon RFC 8259 en UTF-8 est attendu.",
    "È atteso JSON secondo RFC 8259 in UTF-8.",
    "Expected JSON by RFC 8259 in UTF-8.",
)
_TWICE = texts(
    "Ein Objekt enthält einen Namen zweimal; erwartet wird jeder Name einmal.",
    "Un objet contient deux fois le même nom; chaque nom est attendu une seule fois.",
    "Un oggetto contiene due volte lo stesso nome; ogni nome è atteso una sola volta.",
    "An object contains a name twice; expected each name once.",
)
_NOT_A_NUMBER = texts(
    "Erwartet werden endliche Zahlen; NaN und Infinity sind kein JSON.",
    "Des nombres finis sont attendus; NaN et Infinity ne sont pas du JSON.",
    "Sono attesi numeri finiti; NaN e Infinity non sono JSON.",
    "Expected finite numbers; NaN and Infinity are not JSON.",
)
_TOO_DEEP = texts(
    f"Erwartet werden höchstens {MAX_DEPTH} Verschachtelungen.",
    f"Au plus {MAX_DEPTH} niveaux d'imbrication sont attendus.",
    f"Sono attesi al massimo {MAX_DEPTH} livelli di annidamento.",
    f"Expected at most {MAX_DEPTH} levels of nesting.",
)
_LIMIT = texts(
    "Erwartet wird höchstens 1 MiB.",
    "Au plus 1 Mio est attendu.",
    "È atteso al massimo 1 MiB.",
    "Expected up to 1 MiB.",
)
_TOO_SLOW = texts(
    "Die Anfrage ist nicht rechtzeitig ganz angekommen.",
    "La requête n'est pas arrivée en entier à temps.",
    "La richiesta non è arrivata per intero in tempo.",
    "The request has not arrived whole in time.",
)


class _Refused(ValueError):  # noqa: N818 - local to this module
    def __init__(self, why: Texts) -> None:
        super().__init__("refused")
        self.why = why


class _Disconnected(Exception):  # noqa: N818 - local to this module
    pass


class StrictJsonBody:
    """Checks each request's body before the application sees it; the same bytes are handed on.

    One that is not whole after `seconds` is given up with 408 (RFC 9110, 15.5.9): it holds a place of the role.
    """

    def __init__(self, app: ASGIApp, raw_bodies: RawBodies | None = None, *, seconds: float) -> None:
        self._app = app
        self._raw_bodies = raw_bodies or {}
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the body or hand it on."""
        if scope["type"] != "http" or not _may_have_body(scope):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await _checked_body(scope, receive, self._raw_bodies.get(scope["path"]))
        except _Disconnected:
            return
        except TimeoutError:
            late = RequestTimeout(_TOO_SLOW, headers={"Connection": "close"})
            await problem_response(late, scope)(scope, receive, send)
            return
        except Problem as problem:
            await problem_response(problem, scope)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


async def _drain(receive: Receive) -> None:
    """Read and forget an announced body: a connection closed on unread bytes is reset, and the answer may be lost."""
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)


def strict_json(data: bytes) -> Any:
    """The value of a strict JSON text; MalformedJson for anything else."""
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse_number, parse_float=_finite
        )
        if _may_be_deep_or_broken(data):
            _check_depth(value)
    except _Refused as refused:
        raise MalformedJson(refused.why) from None
    except RecursionError:
        raise MalformedJson(_TOO_DEEP) from None
    except ValueError:
        raise MalformedJson(_NOT_JSON) from None
    return value


def _may_have_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    # HTTP/2 needs no header to announce a body, so writes are always read; a GET must not wait for what never comes.
    announced = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return announced or scope["method"] not in ("GET", "HEAD", "OPTIONS")


async def _checked_body(scope: Scope, receive: Receive, raw: Collection[str] | None) -> bytes:
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:12]) > MAX_BODY_BYTES:
        if int(length[:12]) <= MAX_DRAINED_BYTES:
            await _drain(receive)
        raise TooLarge(_LIMIT, headers={"Connection": "close"})
    body = await _read(receive)
    if not body:
        return body
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.strip().lower().replace('"', "")
    if raw is not None:
        if media_type not in raw:
            raise _unsupported(raw)
        return body
    if media_type != "application/json" or charset not in ("", "charset=utf-8"):
        raise _unsupported(("application/json",))
    strict_json(body)
    return body


def _unsupported(accepted: Collection[str]) -> UnsupportedMediaType:
    names = ", ".join(accepted)
    detail = texts(
        f"Erwartet wird Content-Type: {names}.",
        f"Content-Type: {names} est attendu.",
        f"È atteso Content-Type: {names}.",
        f"Expected Content-Type: {names}.",
    )
    return UnsupportedMediaType(detail, headers={"Accept": names})


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TooLarge(_LIMIT, headers={"Connection": "close"})
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return again


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused(_TWICE)
    return found


def _refuse_number(_: str) -> NoReturn:
    raise _Refused(_NOT_A_NUMBER)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(_NOT_A_NUMBER)
    return number


def _may_be_deep_or_broken(data: bytes) -> bool:
    """Whether it has so many brackets, or any escape by which half a surrogate pair could come, that one must look."""
    return b"\\u" in data or data.count(b"{") + data.count(b"[") > MAX_DEPTH


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth == MAX_DEPTH and any(isinstance(entry, dict | list) for entry in level):
            raise _Refused(_TOO_DEEP)
        level = [child for parent in level for child in _children(parent)]
        depth += 1


def _children(parent: Any) -> Iterable[Any]:
    if isinstance(parent, dict):
        return [*parent, *parent.values()]
    if isinstance(parent, list):
        return parent
    if isinstance(parent, str) and not parent.isascii():
        parent.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    return ()
