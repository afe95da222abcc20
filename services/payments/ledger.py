"""Stripe's own list of checkouts and refunds (docs.stripe.com/api/pagination). Reads only."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

import stripe
from stripe import StripeClient

from services.payments.parity import Listed
from services.payments.psp import seen_session
from shared.errors import ProviderUnavailable

PAGE: Final = 100


class StripeLedger:
    """What the account holds, page by page."""

    def __init__(self, client: StripeClient) -> None:
        self._stripe = client

    async def listed(self, since: datetime | None) -> AsyncIterator[Listed]:
        """Yield every checkout made since then that names a payment. Raises `ProviderUnavailable`."""
        made: dict[str, Any] = {"created": {"gte": int(since.timestamp())}} if since else {}
        back: Counter[str] = Counter()
        async for refund in self._all(self._stripe.v1.refunds.list_async, made):
            if refund.status == "succeeded":
                back[_id_of(refund.payment_intent)] += refund.amount
        async for session in self._all(self._stripe.v1.checkout.sessions.list_async, made):
            payment = session.client_reference_id
            if payment:
                yield Listed(payment, seen_session(session), back[_id_of(session.payment_intent)])

    async def _all(self, listing: Any, wanted: dict[str, Any]) -> AsyncIterator[Any]:
        after: dict[str, Any] = {}
        while True:
            try:
                page = await listing({"limit": PAGE, **wanted, **after})
            except stripe.StripeError as error:
                raise ProviderUnavailable(f"the payment provider answered {error.http_status or 0}") from None
            for one in page.data:
                yield one
            if not page.has_more or not page.data:
                return
            after = {"starting_after": page.data[-1].id}


def _id_of(intent: Any) -> str:
    return intent if isinstance(intent, str) else str(getattr(intent, "id", ""))
