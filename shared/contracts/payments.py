"""Events of a payment, written by payments alone, on the topic `payments.events`.

The subject is the id of the requesting event (`<dossier>:<sequence>`), the Kafka key the dossier's id.
"""

from typing import Literal

from pydantic import Field

from shared.contracts.dossier import PaymentMethod
from shared.contracts.event import Code, Event, Rappen, Step


class PaymentOpened(Event, aggregate="payment"):
    """A fee is to be collected."""

    step: Step
    amount: Rappen
    currency: Literal["CHF"]
    method: PaymentMethod


class CheckoutCreated(Event, aggregate="payment"):
    """The payment provider's page is ready for the applicant."""

    step: Step
    url: str = Field(max_length=2048)
    expires_at: str


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
