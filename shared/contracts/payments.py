"""Events of a payment, written by payments alone, on the topic `payments.events`.

The subject is the id of the requesting event (`<dossier>:<sequence>`), the Kafka key the dossier's id.
"""

from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.dossier import PaymentMethod
from shared.contracts.event import Code, Event, Rappen, Step
from shared.contracts.status import Language

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")]


class PaymentOpened(Event, aggregate="payment"):
    """A fee is to be collected."""

    step: Step
    amount: Rappen
    currency: Literal["CHF"]
    method: PaymentMethod
    purpose: Code | None = Field(default=None, description="What is paid: the municipal service's id.")
    language: Language | None = None
    pay_by: str | None = Field(default=None, description="RFC 3339; afterwards the attempt expires.")


class CheckoutCreated(Event, aggregate="payment"):
    """The payment provider's page is ready for the applicant."""

    step: Step
    url: str = Field(max_length=2048)
    expires_at: str
    session: str = Field(default="", max_length=255, description="The provider's id of the checkout.")


class CheckoutClosureRequested(Event, aggregate="payment"):
    """The checkout is to take no money any more; the provider is asked to close it, then the payment ends."""

    step: Step
    session: str = Field(max_length=255)
    because: Literal["cancelled", "declined"]
    reason: Code


class InvoiceIssued(Event, aggregate="payment"):
    """A QR-bill can be paid with this reference."""

    step: Step
    reference: str = Field(pattern=r"^\d{27}$", description="QRR reference, last digit modulo 10 recursive.")
    pay_by: str


class PaymentDelayed(Event, aggregate="payment"):
    """The payment provider does not answer; the work goes on by itself."""

    step: Step
    attempts: int = Field(ge=1)


class PaymentSucceeded(Event, aggregate="payment"):
    """The money is captured at the provider or booked at the bank."""

    step: Step
    amount: Rappen
    currency: Literal["CHF"]
    method: PaymentMethod


class PaymentDeclined(Event, aggregate="payment"):
    """The provider refused the card; this attempt is over and can take no money any more."""

    step: Step
    reason: Code


class PaymentExpired(Event, aggregate="payment"):
    """The checkout was left or the bill not paid in time; this attempt can take no money any more."""

    step: Step


class PaymentCancelled(Event, aggregate="payment"):
    """The dossier no longer wants the money and none was taken."""

    step: Step


class PaymentRefunded(Event, aggregate="payment"):
    """Money that came after the dossier had ended went back in full."""

    step: Step
    amount: Rappen
    currency: Literal["CHF"]


class RefundRequested(Event, aggregate="payment"):
    """Money was taken that is not owed (any more); all of it is to go back."""

    step: Step
    amount: Rappen
    currency: Currency
    reason: Code


class RefundReferred(Event, aggregate="payment"):
    """Money that is to go back cannot go by itself; the finance office returns it by hand."""

    step: Step
    amount: Rappen
    currency: Currency
    reason: Code
