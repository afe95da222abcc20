"""Facts of invented documents, and readers of the pages made of them: their text, and the codes a scanner finds."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pypdfium2
import zxingcpp

ADDRESS = {"street": "Gerliswilstrasse", "house_number": "8", "postal_code": "6020", "town": "Emmenbrücke"}
OFFICE = {"street": "Rüeggisingerstrasse", "house_number": "22", "postal_code": "6021", "town": "Emmenbrücke"}
ISSUED: dict[str, Any] = {
    "issued_at": "2026-11-21T23:30:00Z",
    "dossier": "2026-000123",
    "issuer": {
        "name": "Gemeinde Emmen",
        "municipality": "Emmen",
        "office": "Einwohnerdienste",
        "address": OFFICE,
        "contact": ["schalter@emmen.example"],
    },
    "verification": {
        "url": "https://schalter.emmen.example/verify",
        "document_number": "EM-2026-000123-1",
        "secret": "k3XyP9",
    },
    "person": {"first_name": "Zoë", "family_name": "Müller-Čapek", "birth_date": "1988-02-29", "origin": "Emmen LU"},
    "address": ADDRESS,
}
RESIDENCE: dict[str, Any] = ISSUED | {
    "since": "2019-08-01",
    "content": "with_family",
    "civil_status": "married",
    "household": [
        {"first_name": "Noé", "family_name": "Muster", "birth_date": "2015-03-01", "relation": "child"},
    ],
}
DEBT: dict[str, Any] = ISSUED | {"period_from": "2021-11-21", "period_to": "2026-11-21", "as_of": "2026-11-20"}
FIRST, SECOND = "102426100000000012300100001", "102426100000000012300200007"
SLIPS: dict[str, Any] = {
    "issued_at": ISSUED["issued_at"],
    "dossier": "2026-000123",
    "creditor": {"name": "Gemeinde Emmen, Finanzen", **OFFICE},
    "qr_iban": "CH4431999123000889012",
    "debtor": {"name": "Zoë Müller-Čapek", **ADDRESS},
    "slips": [
        {"amount_rappen": 123450, "reference": FIRST, "message": "Steuern 2026 – Rate 1"},
        {"amount_rappen": None, "reference": SECOND},
    ],
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "residence-certificate": RESIDENCE,
    "debt-register-extract": DEBT,
    "payment-slips": SLIPS,
}
TITLES = {
    "residence-certificate": "residence_title",
    "debt-register-extract": "debt_title",
    "payment-slips": "slips_title",
}
# The longest texts that the facts allow.
LONG = {
    "name": "Wohnbaugenossenschaft der Angestellten und Arbeiter im Mittelland-Nord"[:70],
    "street": "Obere Schönenwerderstrasse-Hinterdorfgasse beim Schulhaus Nordwestring"[:70],
    "house_number": "1234567890123 bis"[:16],
    "postal_code": "6020",
    "town": "Sankt Margrethenthal-Oberwiesendang",
}


def entry(number: int) -> dict[str, Any]:
    """Invent one debt enforcement procedure."""
    creditor = "Muster Versicherungen AG, Zweigniederlassung Luzern" if number % 3 else "Steueramt Emmen"
    return {
        "opened_on": "2023-05-02",
        "number": f"2023{number:05d}",
        "creditor": creditor,
        "amount_rappen": 100_000 + number,
        "status": "seizure",
    }


def changed(facts: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return facts with another value at a dotted path."""
    result = copy.deepcopy(dict(facts))
    node: Any = result
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        node = node[step]
    node[last] = value
    return result


def pages(file: bytes) -> Iterator[pypdfium2.PdfPage]:
    """Open the pages of a file."""
    yield from pypdfium2.PdfDocument(file)


def words(file: bytes) -> str:
    """Return the text of all pages, with single blanks."""
    return " ".join(" ".join(page.get_textpage().get_text_range() for page in pages(file)).split())


def codes(file: bytes) -> list[list[zxingcpp.Barcode]]:
    """Return the codes that a scanner finds on the picture of each page (144 dots an inch)."""
    return [list(zxingcpp.read_barcodes(page.render(scale=2).to_pil())) for page in pages(file)]
