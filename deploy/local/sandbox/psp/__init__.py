"""A card and TWINT processor that speaks Stripe's API, with a payment page, signed webhooks and an exact ledger."""

from deploy.local.sandbox.psp.api import create_app
from deploy.local.sandbox.psp.processor import PspSettings

__all__ = ["PspSettings", "create_app"]
