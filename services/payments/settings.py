"""The settings of payments, beside those that every service has."""

from pydantic import Field, SecretStr, field_validator, model_validator
from stdnum import iban

from shared.settings import CommonSettings

_QR_IIDS = range(30_000, 32_000)


class PaymentsSettings(CommonSettings):
    """The payment provider's account, and the creditor's account for QR-bills."""

    stripe_api_base: str = Field("https://api.stripe.com", pattern=r"^https?://\S+$", description="Stripe's address")
    stripe_api_key: SecretStr = Field(min_length=8, description="the secret key of the Stripe account")
    stripe_webhook_secret: SecretStr = Field(min_length=8, description="the signing secret of the webhook endpoint")
    qr_iban: str = Field(description="a QR-IBAN: CH or LI, institution number 30000 to 31999")
    creditor_name: str = Field(min_length=1, max_length=70, description="the creditor's name, up to 70 characters")
    creditor_street: str = Field("", max_length=70, description="the creditor's street")
    creditor_house_number: str = Field("", max_length=16, description="the creditor's house number")
    creditor_postcode: str = Field(min_length=1, max_length=16, description="the creditor's postcode")
    creditor_town: str = Field(min_length=1, max_length=35, description="the creditor's town")
    qr_tenant_no: int = Field(1024, ge=1, le=9999, description="1 to 9999: the first digits of every QR reference")
    poll_first_seconds: float = Field(
        10.0, gt=0, le=60, allow_inf_nan=False, description="seconds until a checkout is first asked for, up to 60"
    )

    @field_validator("qr_iban")
    @classmethod
    def _is_qr_iban(cls, value: str) -> str:
        """Check digits and institution number (Swiss Implementation Guidelines QR-bill, 4.2.2)."""
        compact = value.replace(" ", "").upper()
        if not iban.is_valid(compact) or compact[:2] not in ("CH", "LI") or int(compact[4:9]) not in _QR_IIDS:
            raise ValueError("not a QR-IBAN")
        return compact

    @model_validator(mode="after")
    def _provider_is_protected(self) -> "PaymentsSettings":
        if self.environment == "production" and not self.stripe_api_base.startswith("https://"):
            raise ValueError("STRIPE_API_BASE: not allowed; in production expected an https address")
        return self
