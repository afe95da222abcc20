"""The reference page in a real browser: whole journeys of the three services, live status, accessibility."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from deploy.local.health import is_ready
from deploy.local.processes import wait_until
from deploy.local.stack import Stack
from tests.journey.phone import SECONDS, Phone, chromium

DECLINED, GOOD = "4000 0000 0000 0002", "4242 4242 4242 4242"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def phones(browser: Browser, stack: Stack) -> Iterator[Callable[..., Phone]]:
    """Make phones at the page of a whole stack; none of their browsers may have complained."""
    made: list[Phone] = []

    def make(**options: object) -> Phone:
        made.append(Phone(browser, stack.url("intake-api"), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for phone in made:
        phone.close()


def test_certificate_with_a_declined_card(phones: Callable[..., Phone]) -> None:
    """A confirmation of residence: the first card is declined, another try pays, the PDF is downloaded; in German."""
    phone = phones()
    phone.begin("residence-certificate", "de")
    phone.pick("/form/purpose", "bank")
    phone.pick("/form/content", "with_move_in_date")
    phone.field("/consent/residence").check()
    phone.check()
    phone.submit()
    phone.await_status("evidence_ready")
    expect(phone.next("evidence")).to_contain_text("Lindenweg 7")
    phone.check()
    phone.next("evidence").get_by_role("button", name="Stimmt, verwenden").click()
    phone.await_status("payment_due")
    phone.check()
    phone.go_and_pay(card=DECLINED)
    phone.page.get_by_role("link", name="Zurück").or_(phone.page.locator("p.link a")).first.click()
    phone.await_status("payment_declined")
    phone.check()
    phone.next("payment").get_by_role("button", name="Karte").click()
    phone.await_status("payment_due")
    phone.go_and_pay(card=GOOD)
    phone.await_status("completed")
    phone.check()
    assert phone.save(phone.next("document").get_by_role("button")).startswith(b"%PDF-")
    assert phone.page.locator(".station[data-state=done]").count() == phone.page.locator(".station").count()


def test_extract_with_a_later_consent(phones: Callable[..., Phone]) -> None:
    """A debt-register extract: the consent is given on the way, TWINT pays; in French on a phone 320 pixels wide."""
    phone = phones(width=320)
    phone.begin("debt-register-extract", "fr")
    phone.pick("/form/purpose", "lease")
    phone.field("/form/years").fill("3")
    phone.field("/form/previous_addresses").fill("Gartenweg 4, 6003 Luzern\nWaldweg 1, 6032 Emmen")
    phone.pick("/payment_method", "twint")
    phone.check()
    phone.submit()
    phone.await_status("consent_needed")
    phone.check()
    phone.next("evidence").get_by_role("button", name="Oui, obtenir").click()
    phone.await_status("evidence_ready")
    expect(phone.next("evidence")).to_contain_text("Aucune inscription")
    phone.check()
    phone.next("evidence").get_by_role("button", name="Exact, utiliser").click()
    phone.await_status("payment_due")
    # The text came by the stream, in the language of the page and not in that of the browser.
    expect(phone.page.locator(".status .text")).to_have_text("Veuillez payer l’émolument.")
    phone.go_and_pay()
    phone.await_status("completed")
    phone.check()
    assert phone.save(phone.next("document").get_by_role("button")).startswith(b"%PDF-")


def test_payment_slips_by_keyboard(phones: Callable[..., Phone]) -> None:
    """Payment slips: the form is filled in, corrected and sent by keyboard alone; in Italian."""
    phone = phones()
    phone.begin("payment-slips", "it")
    send = phone.page.locator("main button[type=submit]")
    _press_on(phone, "main button[type=submit]", "Enter")
    expect(phone.page.locator(".summary")).to_be_focused()
    expect(send).not_to_have_attribute("aria-disabled", "true")
    assert phone.page.title().startswith("Errore")
    phone.check()
    _press_on(phone, ".summary li:nth-child(2) a", "Enter")
    expect(phone.field("/form/count")).to_be_focused()
    expect(phone.field("/form/count")).to_have_attribute("aria-describedby", "f-form-count-error f-form-count-help")
    phone.page.keyboard.type("2")
    _press_on(phone, "[data-pointer='/form/account'] input[value=tax]", "Space")
    _press_on(phone, "[data-pointer='/form/tax_year'] input")
    phone.page.keyboard.type(phone.page.evaluate("String(new Date().getFullYear())"))
    _press_on(phone, "[data-pointer='/form/amount_rappen'] input")
    phone.page.keyboard.type("0.03")  # too little and no multiple of five: two errors, said once
    _press_on(phone, "main button[type=submit]", "Enter")
    expect(phone.page.locator("[data-pointer='/form/amount_rappen'] .error")).to_contain_text("CHF")
    phone.field("/form/amount_rappen").fill("1'250.50")
    _press_on(phone, "main button[type=submit]", "Enter")
    phone.await_status("completed")
    expect(phone.page.locator("h1")).to_be_focused()
    phone.check()
    assert phone.save(phone.next("document").get_by_role("button")).startswith(b"%PDF-")


def test_bill_then_card_and_list(phones: Callable[..., Phone]) -> None:
    """Whoever chose the QR-bill can download it and still pay by card; the list shows the request; in English."""
    phone = phones()
    phone.begin("residence-certificate", "en")
    phone.pick("/form/purpose", "school")
    phone.pick("/form/content", "simple")
    phone.field("/consent/residence").check()
    phone.pick("/payment_method", "invoice")
    dossier = phone.submit()
    phone.await_status("evidence_ready")
    phone.next("evidence").get_by_role("button", name="Right, use it").click()
    phone.await_status("payment_due")
    bill = phone.next("payment").get_by_role("button", name="Download QR-bill")
    assert phone.save(bill).startswith(b"%PDF-")
    phone.next("payment").locator("summary").click()
    phone.check()
    phone.next("payment").get_by_role("button", name="Card").click()
    phone.next("payment").locator("a.action").wait_for()
    phone.go_and_pay(card=GOOD)
    phone.await_status("completed")
    phone.page.get_by_role("link", name="My requests").first.click()
    phone.page.locator(".cards .card").first.wait_for()
    phone.check()
    assert dossier in _all_listed(phone)


def test_cut_connection(phones: Callable[..., Phone], stack: Stack) -> None:
    """What happens while the API is gone and the page cannot return is all shown once the page is back."""
    phone = phones()
    dossier = _waiting_for_consent(phone)
    phone.page.locator("[data-live=live]").wait_for()
    phone.page.route("**/tickets", lambda route: route.abort())
    stack.kill("intake-api")
    phone.page.locator("[data-live=waiting]").wait_for()
    wait_until(lambda: is_ready(stack.settings.port("intake-api")), SECONDS, "intake did not come back")
    phone.ask(f"/v1/dossiers/{dossier}/consents/residence", {"granted": True})
    path = f"/v1/dossiers/{dossier}"
    wait_until(lambda: phone.ask(path)["status"]["code"] == "evidence_ready", SECONDS, "no evidence was fetched")
    assert phone.page.locator(".status").get_attribute("data-code") == "consent_needed"
    phone.page.unroute("**/tickets")
    phone.await_status("evidence_ready")
    phone.page.locator("[data-live=live]").wait_for()
    last = phone.ask(f"{path}/timeline")[-1]["sequence"]
    phone.page.locator(f".history[data-sequence='{last}']").wait_for()
    shown = _history(phone)
    phone.page.reload()
    phone.page.locator(f".history[data-sequence='{last}']").wait_for()
    assert shown == _history(phone) == sorted(set(shown), reverse=True)


def test_lost_answer_makes_one_dossier(phones: Callable[..., Phone]) -> None:
    """If the answer to a submission is lost, the page asks again and there is one dossier, not two."""
    phone = phones()
    phone.begin("payment-slips", "de", "Noah Beispiel")
    before = len(phone.ask("/v1/dossiers?limit=100")["items"])
    lost: list[str] = []

    def lose_first(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(str(route.fetch().json()["id"]))
            route.abort()
        else:
            route.continue_()

    phone.page.route("**/v1/dossiers", lose_first)
    phone.pick("/form/account", "dog_tax")
    phone.field("/form/count").fill("1")
    assert [phone.submit()] == lost
    assert len(phone.ask("/v1/dossiers?limit=100")["items"]) == before + 1


def test_withdrawing_asks_first(phones: Callable[..., Phone]) -> None:
    """Withdrawing asks in a dialog, can be called off there, and ends the request visibly."""
    phone = phones()
    _waiting_for_consent(phone)
    phone.page.get_by_role("button", name="Anfrage zurückziehen").click()
    phone.check()
    phone.page.keyboard.press("Escape")
    expect(phone.page.get_by_role("button", name="Anfrage zurückziehen")).to_be_focused()
    phone.page.get_by_role("button", name="Anfrage zurückziehen").click()
    phone.page.get_by_role("button", name="Ja, zurückziehen").click()
    phone.await_status("withdrawn")
    expect(phone.page.locator("h1")).to_be_focused()
    expect(phone.page.get_by_role("button", name="Anfrage zurückziehen")).to_have_count(0)
    phone.check()


def test_language_switch_keeps_what_was_filled_in(phones: Callable[..., Phone]) -> None:
    """Another language changes every text, keeps the answers, and leaves the focus on the language."""
    phone = phones()
    phone.begin("residence-certificate", "de")
    phone.pick("/form/purpose", "permit")
    phone.field("/form/addressee").fill("Amt für Migration")
    for language, title in (("fr", "Attestation"), ("it", "Certificato"), ("en", "Confirmation")):
        phone.speak(language)
        expect(phone.page.locator("h1")).to_contain_text(title)
        expect(phone.page.locator(f"[data-language={language}]")).to_be_focused()
        phone.check()
    expect(phone.field("/form/addressee")).to_have_value("Amt für Migration")
    expect(phone.page.locator("input[value=permit]")).to_be_checked()


def test_sign_in_cancelled_too_weak_and_missing(phones: Callable[..., Phone]) -> None:
    """A cancelled sign-in, one that is too weak and none at all each say so and offer the way on."""
    phone = phones()
    phone.open("/?view=dossiers")
    phone.check()
    phone.page.locator("main button.action").click()
    phone.page.locator("button[value=cancel]").click()
    expect(phone.page.locator("h1")).to_have_text("Die Anmeldung hat nicht geklappt")
    phone.check()
    phone.begin("payment-slips", "de")
    phone.open("/?service=debt-register-extract")
    expect(phone.page.locator("main .note")).to_contain_text("genügt Ihre jetzige Anmeldung nicht")
    phone.check()
    phone.open("/?dossier=0000000000000000000000000z")
    expect(phone.page.locator("h1")).to_have_text("Das finden wir nicht")
    phone.check()


def test_motion_only_where_it_is_wanted(phones: Callable[..., Phone]) -> None:
    """The picture moves a little, and not at all for people who asked their system for less motion."""
    running = "document.getAnimations().filter(one => one instanceof CSSAnimation).length"
    lively, calm = phones(motion=True), phones()
    for phone in (lively, calm):
        _waiting_for_consent(phone)
        phone.page.locator("[data-live=live]").wait_for()
    assert lively.page.evaluate(running) > 0
    assert calm.page.evaluate(running) == 0


def _waiting_for_consent(phone: Phone) -> str:
    phone.open("/?service=residence-certificate")
    phone.page.locator("main button.action").click()
    phone.sign_in()
    phone.pick("/form/purpose", "bank")
    phone.pick("/form/content", "simple")
    dossier = phone.submit()
    phone.await_status("consent_needed")
    return dossier


def _all_listed(phone: Phone) -> list[str]:
    """The ids of all requests of the list, asking for more as long as there are more."""
    more, cards = phone.page.get_by_role("button", name="Show more"), phone.page.locator(".cards .card")
    while more.count():
        before = cards.count()
        more.click()
        expect(cards.nth(before)).to_be_visible()
    links = phone.page.locator(".cards a.cover")
    return [str(address).partition("dossier=")[2] for address in links.evaluate_all("all => all.map(one => one.href)")]


def _history(phone: Phone) -> list[int]:
    lines = phone.page.locator(".history li")
    return [int(number) for number in lines.evaluate_all("lines => lines.map(line => line.dataset.sequence)")]


def _press_on(phone: Phone, selector: str, key: str | None = None) -> None:
    """Move the focus with Tab until it is there, as somebody without a mouse does, then press a key."""
    reached = "selector => document.activeElement.matches(selector)"
    for _ in range(80):
        if phone.page.evaluate(reached, selector):
            break
        phone.page.keyboard.press("Tab")
    assert phone.page.evaluate(reached, selector), selector
    if key:
        phone.page.keyboard.press(key)
