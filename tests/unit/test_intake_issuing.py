"""The facts of documents: what the register says, not what was typed."""

from datetime import UTC, datetime
from typing import Any

from services.intake.issuing import document_facts
from services.intake.settings import IntakeSettings
from shared.testing.web import settings as common
from tests.unit.intake_desk import CATALOGUE, Desk

NOW = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)
PERSON = {"officialName": "Muster", "firstName": "Lea", "dateOfBirth": "1988-04-12"}
ADDRESS = {"street": "Lindenweg", "houseNumber": "7", "swissZipCode": 6020, "town": "Emmenbrücke", "country": "CH"}


async def test_a_certificate_has_the_registers_spelling() -> None:
    """The name on a certificate is the register's, however the applicant typed it."""
    dossier = await Desk().submit("residence-certificate", ["residence"])
    record = {"person": PERSON, "address": ADDRESS, "since": "2019-04-01", "civilStatus": "single"}
    opened: dict[str, Any] = {
        "person": {"official_name": "**MUSTER**", "first_name": "lea", "date_of_birth": "1988-04-12"},
        "form": {"purpose": "bank", "content": "simple"},
        "evidence": {"residence": record},
    }
    settings = IntakeSettings.model_validate(common().model_dump())
    facts = document_facts(
        "residence-certificate", CATALOGUE["residence-certificate", 1], dossier, opened, settings, NOW
    )
    assert facts["person"] == {"first_name": "Lea", "family_name": "Muster", "birth_date": "1988-04-12"}
