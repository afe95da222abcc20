"""What every stand-in has: an app with `/health/ready`, `/sandbox/faults`, and pages that need nothing from outside."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError

from deploy.local.sandbox.faults import FaultBox, FaultMiddleware

LANGUAGES = ("de", "fr", "it", "en")
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _plain_error(status: int) -> Mapping[str, Any]:
    return {"title": "A fault was asked for at /sandbox/faults", "status": status}


def build_app(
    title: str,
    box: FaultBox[Any],
    lifespan: Lifespan | None = None,
    error_body: Callable[[int], Mapping[str, Any]] = _plain_error,
) -> FastAPI:
    """An app with health and fault routes and the fault middleware in front of everything else."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(FaultMiddleware, box=box, error_body=error_body)
    _add_fault_routes(app, box)

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


def _add_fault_routes(app: FastAPI, box: FaultBox[Any]) -> None:
    def answer() -> JSONResponse:
        return JSONResponse({"faults": box.current.model_dump(), "meaning": box.describe()})

    @app.get("/sandbox/faults")
    async def read_faults() -> JSONResponse:
        return answer()

    @app.put("/sandbox/faults")
    async def set_faults(request: Request) -> JSONResponse:
        try:
            box.set(box.model.model_validate_json(await request.body()))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            return JSONResponse({"errors": problems, "meaning": box.describe()}, 422)
        return answer()

    @app.delete("/sandbox/faults")
    async def clear_faults() -> JSONResponse:
        box.clear()
        return answer()


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template of `templates/` as a self-contained page."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values), status, _PAGE_HEADERS)


def choose_language(*wishes: str | None) -> str:
    """The first supported language (de, fr, it, en) in "fr-CH", "auto" or an Accept-Language header; else de."""
    for wish in wishes:
        for part in (wish or "").replace(",", " ").split():
            language = part.split(";")[0].split("-")[0].split("_")[0].lower()
            if language in LANGUAGES:
                return language
    return "de"
