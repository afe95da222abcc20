"""The pages people see in the stand-ins, looked at by axe in a real browser on a phone-wide screen (WCAG 2.2 AA)."""

import shutil
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from deploy.local.sandbox import mail, oidc, psp
from deploy.local.sandbox.testing import free_port, serving

CHROMIUM = shutil.which("chromium")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOGIN = (
    "/authorize?client_id=p&redirect_uri=http://127.0.0.1:9/cb&response_type=code&scope=openid&code_challenge_method=S256"
    f"&code_challenge={'x' * 43}&ui_locales=it&acr_values=urn:qa.agov.ch:names:tc:ac:classes:300"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def phone() -> Iterator[Page]:
    """A browser page 320 pixels wide, the width at which WCAG 1.4.10 wants no sideways scrolling."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 320, "height": 700})
        browser.close()


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Base addresses of the three stand-ins that have pages, and the port mail goes to."""
    ports = {name: free_port() for name in ("psp", "oidc", "mail")}
    smtp_port = free_port()
    apps = {
        "psp": psp.create_app(psp.PspSettings(data_dir=tmp_path, http_port=ports["psp"])),
        "oidc": oidc.create_app(oidc.OidcSettings(data_dir=tmp_path, http_port=ports["oidc"])),
        "mail": mail.create_app(mail.MailSettings(data_dir=tmp_path, http_port=ports["mail"], smtp_port=smtp_port)),
    }
    with ExitStack() as stack:
        started = {name: stack.enter_context(serving(app, ports[name])) for name, app in apps.items()}
        yield started | {"smtp_port": str(smtp_port)}


def _check(page: Page) -> None:
    violations = Axe().run(page, options=RULES).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def _session(psp_address: str) -> str:
    form = {
        "mode": "payment",
        "success_url": "http://127.0.0.1:9/done",
        "cancel_url": "http://127.0.0.1:9/no",
        "locale": "fr",
        "line_items[0][price_data][currency]": "chf",
        "line_items[0][price_data][unit_amount]": "123450",
        "line_items[0][price_data][product_data][name]": "Émolument pour le permis de construire",
    }
    headers = {"Authorization": "Bearer sk_test_sandbox"}
    return str(httpx.post(f"{psp_address}/v1/checkout/sessions", data=form, headers=headers).json()["url"])


def test_payment_page_open_declined_and_expired(phone: Page, addresses: dict[str, str]) -> None:
    """The payment page has no violation when opened, after a declined card, and when it has expired."""
    url = _session(addresses["psp"])
    phone.goto(url)
    _check(phone)
    phone.get_by_label("Numéro de carte").fill("4000 0000 0000 0002")
    phone.get_by_role("button", name="Payer par carte").click()
    assert "refusé" in phone.get_by_role("alert").inner_text()
    _check(phone)
    httpx.post(f"{addresses['psp']}/sandbox/sessions/{url.rsplit('/', 1)[1]}/abandon")
    phone.goto(url)
    _check(phone)


def test_login_page(phone: Page, addresses: dict[str, str]) -> None:
    """The login page has no violation, with people to choose and with a refusal."""
    phone.goto(addresses["oidc"] + LOGIN)
    _check(phone)
    phone.goto(addresses["oidc"] + "/authorize")
    _check(phone)


def test_mail_pages(phone: Page, addresses: dict[str, str]) -> None:
    """The list of mails and a mail with a long address in it have no violation."""
    message = EmailMessage()
    message["From"], message["To"] = "schalter@example.ch", "lea@example.ch"
    message["Subject"], message["Message-ID"] = "Ihr Antrag ist geprüft", f"<{'0123456789' * 6}@dossierbus>"
    message.set_content("Grüezi, neues Dokument: http://127.0.0.1:9/dossiers/" + "0123456789" * 8)
    message["Content-Language"] = "de"
    with smtplib.SMTP("127.0.0.1", int(addresses["smtp_port"])) as connection:
        connection.send_message(message)
    phone.goto(addresses["mail"])
    _check(phone)
    phone.get_by_role("link", name="Ihr Antrag ist geprüft").click()
    _check(phone)
