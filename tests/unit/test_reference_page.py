"""The reference page's files and router: where it is served, how strictly, and whether all words are there."""

import re

import httpx
import pytest
from fastapi import FastAPI

from services.intake.api import page
from services.intake.settings import IntakeSettings
from shared.language import LANGUAGES
from shared.web import handlers

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SCRIPTS = sorted(page.FOLDER.glob("*.js"))


def _client(*, wanted: bool = True, environment: str = "development") -> httpx.AsyncClient:
    settings = IntakeSettings.model_validate(
        {
            "reference_page": wanted,
            "environment": environment,
            "mongodb_uri": "mongodb://127.0.0.1/intake",
            "journal_key": KEY,
            "hash_key": KEY,
            "oidc_issuer": "https://login.example",
        }
    )
    app = FastAPI()
    handlers.install(app)
    page.mount(app, settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake")


@pytest.mark.parametrize(("wanted", "environment"), [(False, "development"), (True, "production")])
async def test_page_is_for_development_only(wanted: bool, environment: str) -> None:
    """Without the setting, and in production even with it, there is no page."""
    async with _client(wanted=wanted, environment=environment) as client:
        for path in ("/", "/page/app.js", "/page/texts.json", "/page/sign-in.json"):
            assert (await client.get(path)).status_code == 404


async def test_page_allows_its_own_files_only() -> None:
    """The policy forbids everything from elsewhere, inline code and inline styles, and the page has none."""
    async with _client() as client:
        answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|\*|https?:|data:|blob:", policy)
    assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?![^>]*\bsrc=)", answer.text)


async def test_all_files_that_are_named_are_served() -> None:
    """Every address in the page and every import leads to a file with its media type; nothing else is given out."""
    named = re.findall(r'(?:href|src)="(/page/[^"]+)"', (page.FOLDER / "index.html").read_text())
    imported = [f"/page/{name}" for file in SCRIPTS for name in re.findall(r'from "\./([^"]+)"', file.read_text())]
    async with _client() as client:
        for path in {*named, *imported}:
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) in {
                (200, "text/javascript"),
                (200, "text/css"),
                (200, "image/svg+xml"),
            }, path
        assert (await client.get("/page/texts.yaml")).status_code == 422
        assert (await client.get("/page/other.js")).status_code == 404


def test_every_word_is_there_in_four_languages() -> None:
    """Each text exists in de, fr, it and en, none is empty, and each key that a script names exists."""
    texts = page.page_texts()
    assert [key for key, words in texts.items() if set(words) != set(LANGUAGES) or not all(words.values())] == []
    named = {key for file in SCRIPTS for key in re.findall(r'\bt\("([^"]+)"', file.read_text())}
    assert len(named) > 50
    assert named <= set(texts)


def test_placeholders_are_the_same_in_four_languages() -> None:
    """A value that is filled in in one language is filled in in all."""
    for key, words in page.page_texts().items():
        found = {frozenset(re.findall(r"\{(\w+)\}", text)) - {"of"} for text in words.values()}
        assert len(found) == 1, key


def test_scripts_make_no_markup_from_text() -> None:
    """No script hands text to the browser as markup or code."""
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert [file.name for file in SCRIPTS if markup.search(file.read_text())] == []


async def test_sign_in_goes_through_the_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page learns where to sign in, and a code is exchanged for the client's own name and nothing more is told."""
    asked: list[dict[str, str] | None] = []

    async def call(method: str, address: str, form: dict[str, str] | None = None) -> dict[str, str]:
        asked.append(form)
        if method == "POST":
            return {"access_token": "a", "id_token": "b", "refresh_token": "never"}
        return {"authorization_endpoint": "https://login.example/a", "token_endpoint": "https://login.example/t"}

    monkeypatch.setattr(page, "_call", call)
    body = {"code": "c", "code_verifier": "v" * 43, "redirect_uri": "http://127.0.0.1:8100/"}
    async with _client() as client:
        where = (await client.get("/page/sign-in.json")).json()
        got = (await client.post("/page/token", json=body)).json()
    assert where == {"authorization_endpoint": "https://login.example/a", "client_id": page.CLIENT_ID}
    assert got == {"access_token": "a", "id_token": "b"}
    assert asked[-1] == {"grant_type": "authorization_code", "client_id": page.CLIENT_ID, **body}
