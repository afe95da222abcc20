"""From a dossier's opened values to the facts of a document. Pure: reads nothing and stores nothing."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.intake.catalogue.model import MunicipalService
from services.intake.settings import IntakeSettings
from services.intake.state import Dossier
from shared.calendar import ZURICH
from shared.environment import timestamp
from shared.identifiers import keyed_hash
from shared.qr_reference import qr_reference

Opened = Mapping[str, Any]


def document_facts(
    kind: str, service: MunicipalService, dossier: Dossier, opened: Opened, settings: IntakeSettings, now: datetime
) -> dict[str, Any]:
    """Return the facts of a document. `opened`: person, form, and evidence by step. Raises KeyError if one lacks."""
    common = {"issued_at": timestamp(now), "dossier": reference(dossier.id)}
    if kind == "payment-slips":
        return {**common, **_slips(dossier, opened, settings, now)}
    facts = {
        **common,
        "issuer": _issuer(service, dossier, settings),
        "verification": {"url": f"{settings.public_url}/v1/documents", "document_number": reference(dossier.id)},
    }
    return {**facts, **(_residence(opened) if kind == "residence-certificate" else _debts(opened, now))}


def bill_facts(dossier: Dossier, amount: int, qrr: str, settings: IntakeSettings, issued_at: str) -> dict[str, Any]:
    """Return the facts of the QR-bill for a fee."""
    slip = {"amount_rappen": amount, "reference": qrr, "message": reference(dossier.id)}
    common = {"issued_at": issued_at, "dossier": reference(dossier.id)}
    return {**common, "creditor": _creditor(settings), "qr_iban": settings.qr_iban, "slips": [slip]}


def reference(dossier_id: str) -> str:
    """Return what people call a dossier: the first eight characters of its id in two groups."""
    return f"{dossier_id[:4]}-{dossier_id[4:8]}".upper()


def _person(register: Opened) -> dict[str, Any]:
    """Return the person as the register writes them: a certificate never repeats what was typed."""
    return {
        "first_name": register["firstName"],
        "family_name": register["officialName"],
        "birth_date": register["dateOfBirth"],
    }


def _issuer(service: MunicipalService, dossier: Dossier, settings: IntakeSettings) -> dict[str, Any]:
    return {
        "name": settings.creditor_name,
        "municipality": settings.municipality,
        "office": service.authority.name[dossier.language],
        "address": _address_of(settings),
    }


def _address_of(settings: IntakeSettings) -> dict[str, str]:
    return {
        "street": settings.creditor_street,
        "house_number": settings.creditor_house_number,
        "postal_code": settings.creditor_postcode,
        "town": settings.creditor_town,
    }


def _creditor(settings: IntakeSettings) -> dict[str, str]:
    return {"name": settings.creditor_name, **_address_of(settings)}


def _address(register: Opened) -> dict[str, Any]:
    return {
        "street": register["street"],
        "house_number": register["houseNumber"],
        "postal_code": str(register["swissZipCode"]),
        "town": register["town"],
        "country": register["country"],
    }


def _residence(opened: Opened) -> dict[str, Any]:
    record = opened["evidence"]["residence"]
    return {
        "person": _person(record["person"]),
        "address": _address(record["address"]),
        "since": record["since"],
        "content": opened["form"]["content"],
        "civil_status": record["civilStatus"],
    }


def _debts(opened: Opened, now: datetime) -> dict[str, Any]:
    today = now.astimezone(ZURICH).date()
    years = opened["form"]["years"]
    since = today - timedelta(days=365 * years)
    record = opened["evidence"]["debts"]
    entries = [entry for entry in record["entries"] if entry["date"] >= since.isoformat()]
    return {
        "person": _person(record["person"]),
        "address": _address(record["address"]),
        "period_from": since.isoformat(),
        "period_to": today.isoformat(),
        "as_of": today.isoformat(),
        "entries": [_entry(number, entry) for number, entry in enumerate(entries, 1)],
    }


def _entry(number: int, entry: Opened) -> dict[str, Any]:
    return {
        "opened_on": entry["date"],
        "number": str(number),
        "creditor": entry["creditor_category"],
        "amount_rappen": entry["amount_rappen"],
        "status": entry["state"],
    }


def _slips(dossier: Dossier, opened: Opened, settings: IntakeSettings, now: datetime) -> dict[str, Any]:
    form = opened["form"]
    number = int(keyed_hash(settings.hash_key, "slips", dossier.id), 16) % 10**12
    references = [qr_reference(1, now.year, 2, number, place) for place in range(1, form["count"] + 1)]
    message = f"{form['account']} {form.get('tax_year', '')}".strip()
    slips = [{"amount_rappen": form.get("amount_rappen"), "reference": one, "message": message} for one in references]
    return {"creditor": _creditor(settings), "qr_iban": settings.qr_iban, "slips": slips}
