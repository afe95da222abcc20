"""The reference page of development: files of `services/intake/page`, and the browser's way to the sign-in.

The page uses the portal's API like any other portal. Its calls to the issuer go through here, so that its content
security policy allows no other address than its own. Keeps no token; is never mounted in production.
"""

import json
from pathlib import Path as File
from typing import Annotated, Any, Final

import httpx
import yaml
from fastapi import APIRouter, Depends, FastAPI, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from services.intake.settings import IntakeSettings
from shared.auth import public
from shared.errors import IssuerUnavailable
from shared.web.problems import NotAuthenticated, NotFound

FOLDER: Final = File(__file__).parents[1] / "page"
CLIENT_ID: Final = "dossierbus-reference-page"
TIMEOUT_SECONDS: Final = 5.0
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class CodeExchange(BaseModel):
    """What the browser got from the sign-in, and the secret that proves that it was this browser (RFC 7636)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    code: str = Field(max_length=2048)
    code_verifier: str = Field(min_length=43, max_length=128)
    redirect_uri: str = Field(max_length=2048)


def mount(app: FastAPI, settings: IntakeSettings) -> None:
    """Add the page to intake's API if `REFERENCE_PAGE` is set and this is no production."""
    if settings.reference_page and settings.environment == "development":
        app.include_router(_sign_in(settings.oidc_issuer.rstrip("/")))
        app.include_router(_files(settings.municipality))


def page_texts() -> dict[str, dict[str, str]]:
    """Return all texts of the page: key, language, text."""
    loaded: dict[str, dict[str, str]] = yaml.safe_load((FOLDER / "texts.yaml").read_text(encoding="utf-8"))
    return loaded


def _files(municipality: str) -> APIRouter:
    router = APIRouter(dependencies=[Depends(public("a page without data, for development"))], include_in_schema=False)
    files = {file.name: file.read_bytes() for file in FOLDER.iterdir() if file.suffix in _MEDIA_TYPES}
    index = (FOLDER / "index.html").read_bytes()
    texts = json.dumps({"municipality": municipality, "texts": page_texts()}, ensure_ascii=False).encode()

    @router.get("/")
    async def page() -> Response:
        return Response(index, media_type="text/html", headers={"Content-Security-Policy": POLICY})

    @router.get("/page/texts.json")
    async def all_texts() -> Response:
        return Response(texts, media_type="application/json")

    @router.get("/page/{name}")
    async def file(name: Annotated[str, Path(pattern=r"^[a-z_]{1,40}\.(js|css|svg)$")]) -> Response:
        if name not in files:
            raise NotFound
        return Response(files[name], media_type=_MEDIA_TYPES[File(name).suffix])

    return router


def _sign_in(issuer: str) -> APIRouter:
    router = APIRouter(dependencies=[Depends(public("before a sign-in nobody is known"))], include_in_schema=False)

    @router.get("/page/sign-in.json")
    async def sign_in() -> dict[str, str]:
        address = (await _discovery(issuer))["authorization_endpoint"]
        return {"authorization_endpoint": address, "client_id": CLIENT_ID}

    @router.post("/page/token")
    async def token(body: CodeExchange) -> dict[str, Any]:
        address = (await _discovery(issuer))["token_endpoint"]
        form = {"grant_type": "authorization_code", "client_id": CLIENT_ID, **body.model_dump()}
        answer = await _call("POST", address, form)
        return {name: answer[name] for name in ("access_token", "id_token", "expires_in") if name in answer}

    return router


async def _discovery(issuer: str) -> dict[str, Any]:
    return await _call("GET", f"{issuer}/.well-known/openid-configuration")


async def _call(method: str, address: str, form: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the issuer's answer. Raises `NotAuthenticated` for a code that is no longer good, `IssuerUnavailable`."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
            response = await http.request(method, address, data=form)
        if response.status_code == httpx.codes.BAD_REQUEST:
            raise NotAuthenticated
        response.raise_for_status()
        return dict(response.json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError):
        raise IssuerUnavailable("the issuer does not answer as OpenID Connect asks") from None
