"""Issued documents: what stands on the page, what the codes say, that files are stable, archivable and accessible."""

import copy
import io
import re
import string
from typing import Any

import pypdf
import pytest

from services.intake.documents.render import KINDS, FactsError, render
from services.intake.documents.wording import LANGUAGES, Language, texts
from tests.unit.document_samples import (
    DEBT,
    EXAMPLES,
    FIRST,
    ISSUED,
    LONG,
    RESIDENCE,
    SECOND,
    SLIPS,
    TITLES,
    changed,
    codes,
    entry,
    pages,
    words,
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_rendered_in_each_language(kind: str, language: Language) -> None:
    """The title stands there in the language asked for, names keep their accents, pages are A4."""
    file = render(kind, EXAMPLES[kind], language)
    assert texts()[TITLES[kind]][language] in words(file)
    assert "Müller-Čapek" in words(file)
    assert "Emmenbrücke" in words(file)
    assert {tuple(round(side) for side in page.get_size()) for page in pages(file)} == {(595, 842)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_facts_give_the_same_bytes(kind: str) -> None:
    """A document can be made again at any time; every date inside is the moment of issue."""
    file = render(kind, EXAMPLES[kind], "de")
    assert render(kind, copy.deepcopy(EXAMPLES[kind]), "de") == file
    assert pypdf.PdfReader(io.BytesIO(file)).metadata is None
    assert set(re.findall(rb'Date="([^"]+)"', file)) == {b"2026-11-21T23:30:00+00:00"}
    assert render(kind, changed(EXAMPLES[kind], "issued_at", "2026-11-21T23:30:01Z"), "de") != file


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_archivable_and_accessible(kind: str) -> None:
    """PDF/A-2u is declared with its colour profile, all fonts are inside, and language, title, tags are set."""
    reader = pypdf.PdfReader(io.BytesIO(render(kind, EXAMPLES[kind], "fr")))
    root: Any = reader.trailer["/Root"]
    assert root["/Lang"] == "fr-CH"
    assert bool(root["/MarkInfo"]["/Marked"])
    assert bool(root["/ViewerPreferences"]["/DisplayDocTitle"])
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    declared = root["/Metadata"].get_data().decode()
    assert 'pdfaid:part="2"' in declared
    assert 'pdfaid:conformance="U"' in declared
    assert f'<rdf:li xml:lang="x-default">{texts()[TITLES[kind]]["fr"]}</rdf:li>' in declared
    elements = [kid.get_object() for kid in root["/StructTreeRoot"]["/K"][0]["/K"]]
    roles = [element["/S"] for element in elements]
    assert roles.count("/H1") == len(reader.pages)
    assert all(element["/Alt"] for element in elements if element["/S"] == "/Figure")
    assert "/Figure" in roles
    resources: list[Any] = [page["/Resources"] for page in reader.pages]
    fonts = [font.get_object() for used in resources for font in used["/Font"].values()]
    assert all("/FontFile2" in font["/DescendantFonts"][0]["/FontDescriptor"] for font in fonts)


@pytest.mark.parametrize("kind", ["residence-certificate", "debt-register-extract"])
def test_a_reader_can_check_the_document(kind: str) -> None:
    """The code holds address, document number and secret; address and number are printed too, the secret is not."""
    file = render(kind, EXAMPLES[kind], "it")
    ((code,),) = codes(file)
    assert code.text == "https://schalter.emmen.example/verify/EM-2026-000123-1#k3XyP9"
    assert "https://schalter.emmen.example/verify" in words(file)
    assert "EM-2026-000123-1" in words(file)
    assert "k3XyP9" not in words(file)


@pytest.mark.parametrize(
    ("content", "printed", "withheld"),
    [
        ("simple", [], ["1. August 2019", "verheiratet", "Noé"]),
        ("with_move_in_date", ["1. August 2019"], ["verheiratet", "Noé"]),
        ("with_civil_status", ["1. August 2019", "verheiratet"], ["Noé"]),
        ("with_family", ["1. August 2019", "Noé Muster, 1. März 2015, Kind"], ["verheiratet"]),
    ],
)
def test_a_certificate_says_no_more_than_was_asked_for(content: str, printed: list[str], withheld: list[str]) -> None:
    """Known facts beyond the content that was chosen stay off the page."""
    page = words(render("residence-certificate", RESIDENCE | {"content": content}, "de"))
    assert "29. Februar 1988" in page
    assert [fact for fact in printed if fact not in page] == []
    assert [fact for fact in withheld if fact in page] == []


@pytest.mark.parametrize("kind", ["residence-certificate", "debt-register-extract"])
def test_a_name_is_printed_and_not_read(kind: str) -> None:
    """Signs that are markup elsewhere are letters in a document."""
    name = "**Muster** (&) {lea}"
    person = ISSUED["person"] | {"family_name": name}
    assert name in words(render(kind, EXAMPLES[kind] | {"person": person}, "de"))


def test_the_day_of_issue_is_the_day_in_zurich() -> None:
    """Half past eleven at night in UTC is already the next day at the counter."""
    assert "Emmen, 22. November 2026" in words(render("residence-certificate", RESIDENCE, "de"))
    assert "Emmen, le 22 novembre 2026" in words(render("residence-certificate", RESIDENCE, "fr"))


@pytest.mark.parametrize(
    ("language", "written"),
    [("de", "1. August 2019"), ("fr", "1er août 2019"), ("it", "1° agosto 2019"), ("en", "1 August 2019")],
)
def test_days_are_written_as_the_language_does(language: Language, written: str) -> None:
    """The first of a month has its own way of writing in French and Italian."""
    assert written in words(render("residence-certificate", RESIDENCE, language))


def test_an_extract_without_entries_says_so() -> None:
    """No entry is stated in words, with the five years and the day of the register."""
    page = words(render("debt-register-extract", DEBT, "de"))
    assert "Keine Betreibungen eingetragen." in page
    assert "21. November 2021 bis 21. November 2026" in page
    assert "20. November 2026" in page


def test_an_extract_lists_every_entry_over_several_pages() -> None:
    """Each procedure stands there once, the total is right, columns have headings on each page, pages are numbered."""
    file = render("debt-register-extract", DEBT | {"entries": [entry(number) for number in range(60)]}, "de")
    page = words(file)
    assert [number for number in range(60) if page.count(f"2023{number:05d}") != 1] == []
    assert "60’017.70" in page
    assert "Keine Betreibungen" not in page
    total = len(list(pages(file)))
    assert total >= 3
    assert all(f"Seite {number} von {total}" in page for number in range(1, total + 1))
    tables = [text for text in (one.get_textpage().get_text_range() for one in pages(file)) if "2023000" in text]
    assert all("Forderung CHF" in text for text in tables)


def test_the_swiss_qr_code_says_exactly_what_is_owed() -> None:
    """The code read from the picture holds the 31 lines of the standard, address type S, and only allowed letters."""
    found = codes(render("payment-slips", SLIPS, "de"))
    creditor = ["S", "Gemeinde Emmen, Finanzen", "Rüeggisingerstrasse", "22", "6021", "Emmenbrücke", "CH"]
    debtor = ["S", "Zoë Müller-Čapek", "Gerliswilstrasse", "8", "6020", "Emmenbrücke", "CH"]
    head = ["SPC", "0200", "1", "CH4431999123000889012", *creditor, *[""] * 7]
    assert [[code.text.split("\r\n") for code in page] for page in found] == [
        [[*head, "1234.50", "CHF", *debtor, "QRR", FIRST, "Steuern 2026 - Rate 1", "EPD"]],
        [[*head, "", "CHF", *debtor, "QRR", SECOND, "", "EPD"]],
    ]


def test_an_unknown_payer_stays_empty() -> None:
    """Without a debtor the seven lines are empty, and the page asks for name and address."""
    file = render("payment-slips", {key: value for key, value in SLIPS.items() if key != "debtor"}, "en")
    lines = codes(file)[0][0].text.split("\r\n")
    assert lines[20:27] == [""] * 7
    assert "Payable by (name/address)" in words(file)


def test_the_swiss_qr_code_stands_where_the_style_guide_wants_it() -> None:
    """46 mm square, 67 mm from the left, 17 mm below the upper edge of the payment part, level M."""
    ((code,), _) = codes(render("payment-slips", SLIPS, "de"))
    millimetre = 2 * 72 / 25.4
    left, top = code.position.top_left.x / millimetre, code.position.top_left.y / millimetre
    right, bottom = code.position.bottom_right.x / millimetre, code.position.bottom_right.y / millimetre
    assert [left, top, right, bottom] == pytest.approx([67, 192 + 17, 113, 192 + 63], abs=0.4)
    assert code.ec_level == "M"


def test_both_parts_of_the_slip_carry_account_reference_and_amount() -> None:
    """Receipt and payment part repeat what the code says, grouped for the eye; the upper part shows the amount too."""
    page = words(render("payment-slips", SLIPS | {"slips": SLIPS["slips"][:1]}, "it"))
    assert page.count("CH44 3199 9123 0008 8901 2") == 2
    assert page.count("10 24261 00000 00001 23001 00001") == 3
    assert page.count("1 234.50") == 2
    assert "CHF 1’234.50" in page
    for heading in ("Ricevuta", "Sezione pagamento", "Punto di accettazione", "Pagabile da", "Da staccare"):
        assert heading in page


def test_letters_that_payments_do_not_allow_lose_their_accent() -> None:
    """A name that the payment standard cannot carry is written plainly in the code and in full in the letter."""
    file = render("payment-slips", changed(SLIPS, "debtor.name", "Nguyễn Thị Ánh"), "de")
    assert codes(file)[0][0].text.split("\r\n")[21] == "Nguyen Thi Ánh"
    assert "Nguyễn Thị Ánh" in words(file)


@pytest.mark.parametrize("facts", [SLIPS, {key: value for key, value in SLIPS.items() if key != "debtor"}])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_texts_stay_on_the_page(facts: dict[str, Any], language: Language) -> None:
    """The longest names, addresses, messages and amounts leave the page nowhere and keep the code readable."""
    slip = {"amount_rappen": 99_999_999_999, "reference": FIRST, "message": "ÄÖÜ w " * 23}
    debtor = {"debtor": LONG} if "debtor" in facts else {}
    file = render("payment-slips", facts | {"creditor": LONG, "slips": [slip]} | debtor, language)
    (page,) = pages(file)
    text = page.get_textpage()
    boxes = [text.get_charbox(index) for index in range(text.count_chars())]
    assert min(box[0] for box in boxes) >= 0
    assert max(box[2] for box in boxes) <= 595
    assert min(box[1] for box in boxes) >= 14
    assert len(codes(file)[0]) == 1
    assert "999 999 999.99" in words(file)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("payment-slips", "qr_iban", "CH9300762011623852957"),  # an ordinary IBAN with a QR reference
        ("payment-slips", "qr_iban", "CH4431999123000889013"),
        ("payment-slips", "slips.0.reference", "RF18539007547034"),  # a creditor reference with a QR-IBAN
        ("payment-slips", "slips.0.reference", "102426100000000012300100002"),
        ("payment-slips", "slips.0.amount_rappen", 0),
        ("payment-slips", "slips.0.amount_rappen", 12.5),
        ("payment-slips", "slips.0.amount_rappen", 10**11),
        ("payment-slips", "slips.0.message", "Rate 1\r\nEPD"),
        ("payment-slips", "slips", []),
        ("payment-slips", "debtor.line1", "Gerliswilstrasse 8"),  # a combined address (type K)
        ("payment-slips", "debtor.name", "Lea\nMuster"),
        ("payment-slips", "debtor.country", "Schweiz"),
        ("residence-certificate", "person.family_name", "Мюллер"),
        ("residence-certificate", "person.family_name", "Mus\u00adter"),
        ("residence-certificate", "person.first_name", "  "),
        ("residence-certificate", "person.birth_date", "29.02.1988"),
        ("residence-certificate", "issued_at", "2026-11-21T09:30:00"),
        ("residence-certificate", "content", "everything"),
        ("residence-certificate", "verification.url", "javascript:alert(1)"),
        ("debt-register-extract", "period_from", "2021-11-20"),
        ("debt-register-extract", "period_from", "2026-11-22"),
        ("debt-register-extract", "entries", [entry(1) | {"opened_on": "2020-01-01"}]),
        ("debt-register-extract", "entries", [entry(1) | {"status": "gone"}]),
    ],
)
def test_facts_that_do_not_fit_are_named_and_not_repeated(kind: str, path: str, value: Any) -> None:
    """A wrong fact stops the document; the error names the field, and nothing in it or behind it repeats a value."""
    with pytest.raises(FactsError) as refusal:
        render(kind, changed(EXAMPLES[kind], path, value), "de")
    assert path.split(".")[-1] in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None
    for secret in ("Müller", "Čapek", "1988", "Gerliswil", "29.02", "RF18", "EPD", "Мюл"):
        assert secret not in str(refusal.value)


def test_a_civil_status_that_was_asked_for_must_be_known() -> None:
    """A certificate with the civil status is not made without one."""
    facts = {key: value for key, value in RESIDENCE.items() if key != "civil_status"}
    with pytest.raises(FactsError, match="civil_status"):
        render("residence-certificate", facts | {"content": "with_civil_status"}, "de")


def test_unknown_kinds_and_languages_are_refused() -> None:
    """There is no document of an unknown kind or in an unknown language."""
    with pytest.raises(ValueError, match="kind: expected one of"):
        render("birth-certificate", RESIDENCE, "de")
    with pytest.raises(ValueError, match="language: expected"):
        render("residence-certificate", RESIDENCE, "rm")  # type: ignore[arg-type]  # what is refused at run time


def test_every_text_has_four_languages_with_the_same_placeholders() -> None:
    """No text lacks a language or drops a value that another language prints."""
    for key, translations in texts().items():
        assert set(translations) == set(LANGUAGES), key
        fields = {tuple(sorted(f[1] or "" for f in string.Formatter().parse(text))) for text in translations.values()}
        assert len({tuple(filter(None, names)) for names in fields}) == 1, key
