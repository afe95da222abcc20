"""The settings of intake, beside those that every service has."""

from pathlib import Path

from pydantic import Field

from shared.settings import CommonSettings


class IntakeSettings(CommonSettings):
    """`REFERENCE_PAGE` serves the development page, `CATALOGUE` adds the town's own services.

    The creditor stands on QR-bills and payment slips.
    """

    reference_page: bool = Field(False, description="true or false (false in production)")
    catalogue: Path | None = Field(None, description="a folder with the town's own municipal services (YAML)")
    municipality: str = Field("Emmen", max_length=35, description="the municipality's name inside sentences")
    qr_iban: str = Field("CH4431999123000889012", description="the creditor's QR-IBAN")
    creditor_name: str = Field("Gemeinde Emmen", max_length=70, description="the creditor's name")
    creditor_street: str = Field("Rüeggisingerstrasse", max_length=70, description="the creditor's street")
    creditor_house_number: str = Field("22", max_length=16, description="the creditor's house number")
    creditor_postcode: str = Field("6020", max_length=16, description="the creditor's postcode")
    creditor_town: str = Field("Emmenbrücke", max_length=35, description="the creditor's town")
