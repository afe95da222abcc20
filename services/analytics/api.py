"""The KPI API, its stream and the live page. Reads the board; asks nobody and changes nothing.

Everything is public: figures over all dossiers, without an id, a person or a time of a single dossier. A town that
wants its figures for its staff alone closes the port at its ingress; the page needs no login to hang on a wall.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, Response, StreamingResponse

from services.analytics.board import Board
from services.analytics.view import Kpis
from shared.auth import public
from shared.errors import StorageUnavailable
from shared.web.problems import NotFound

PAGE: Final = Path(__file__).parent / "page"
STREAM_PAUSE_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 15.0
RETRY_MS: Final = 2_000
_FIGURES: Final = Depends(public("figures over all dossiers, without personal data"))
_FILES: Final = Depends(public("the live page's own files"))
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILE_TYPES: Final = {"live.js": "text/javascript", "draw.js": "text/javascript", "texts.js": "text/javascript"}


def routes(board: Board) -> APIRouter:
    """Return the routes over a board."""
    router = APIRouter()

    @router.get("/v1/kpis", summary="All KPIs now", dependencies=[_FIGURES])
    async def kpis() -> Kpis:
        return _current(board)

    @router.get(
        "/v1/kpis/stream",
        summary="KPIs as they change (server-sent events named `kpis`)",
        dependencies=[_FIGURES],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def stream() -> StreamingResponse:
        _current(board)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(_events(board), media_type="text/event-stream", headers=headers)

    @router.get("/", include_in_schema=False, dependencies=[_FILES])
    async def page() -> Response:
        return _file("index.html", "text/html")

    @router.get("/page/{name}", include_in_schema=False, dependencies=[_FILES])
    async def script(name: str) -> Response:
        return _file(name, {**_FILE_TYPES, "live.css": "text/css"}.get(name))

    return router


def _current(board: Board) -> Kpis:
    if not board.caught_up:
        raise StorageUnavailable("the KPIs are not read yet")
    return board.kpis()


async def _events(board: Board) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    async for _ in board.changes(STREAM_PAUSE_SECONDS, HEARTBEAT_SECONDS):
        # Also without a change: the time of the figures moves on, and proxies keep the connection.
        yield f"id: {board.revision}\nevent: kpis\ndata: {board.kpis().model_dump_json(by_alias=True)}\n\n"


def _file(name: str, media_type: str | None) -> Response:
    if media_type is None:
        raise NotFound
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return FileResponse(PAGE / name, media_type=media_type, headers=headers)
