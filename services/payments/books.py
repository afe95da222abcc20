"""Where payments are kept, and their QR references: making one, finding the payment of one. Writes no payment."""

import hashlib
from collections.abc import Collection, Mapping
from functools import partial
from typing import Final, Protocol

from services.payments.domain import payment_aggregate
from services.payments.meters import PaymentCounter
from services.payments.settings import PaymentsSettings
from services.payments.state import Payment
from shared.journal import Journal
from shared.qr_reference import qr_reference
from shared.runtime import Bus
from shared.store.mongo import ASCENDING, Database, translated

COLLECTION: Final = "payments"
_KIND: Final = 1  # the digit of the QR reference that means: a fee of the online counter
_NUMBERS: Final = 999_999_999_999
_INSTALMENTS: Final = 1000


class Books(Protocol):
    """Finds payments. Raises `StorageUnavailable`."""

    async def by_reference(self, references: Collection[str]) -> Mapping[str, str]:
        """Return reference -> payment for those that are known."""
        ...


class MongoBooks:
    """The index over the payments' journals."""

    def __init__(self, database: Database) -> None:
        self._payments = database[COLLECTION]

    async def by_reference(self, references: Collection[str]) -> Mapping[str, str]:
        """Return reference -> payment for those that are known."""
        query = {"state.reference": {"$in": list(references)}}
        with translated():
            found = self._payments.find(query, {"state.reference": 1})
            return {document["state"]["reference"]: document["_id"] async for document in found}


async def open_payments(bus: Bus[PaymentsSettings]) -> tuple[Journal[Payment], MongoBooks]:
    """Return the payments' journals, counted, and their books."""
    payments = await bus.journal(payment_aggregate(bus.settings.poll_first_seconds), COLLECTION)
    payments.listen(PaymentCounter())
    bus.prepare(partial(prepare_books, bus.database))
    return payments, MongoBooks(bus.database)


async def prepare_books(database: Database) -> None:
    """See to it that a reference belongs to one payment only. Raises `StorageUnavailable`."""
    with translated():
        await database[COLLECTION].create_index(
            [("state.reference", ASCENDING)],
            name="reference",
            unique=True,
            partialFilterExpression={"state.reference": {"$type": "string"}},
        )


def reference_of(payment: str, tenant_no: int, year: int, attempt: int = 0) -> str:
    """Return the QR reference of a payment: its id's SHA-256 in the fifteen digits of number and instalment."""
    digest = hashlib.sha256(f"{payment}/{attempt}".encode()).digest()
    number, instalment = divmod(int.from_bytes(digest[:8], "big"), _INSTALMENTS)
    return qr_reference(tenant_no, year, _KIND, number % _NUMBERS + 1, instalment)


async def free_reference(books: Books, payment: str, tenant_no: int, year: int) -> str:
    """Return the payment's reference, the next one if another payment happens to have it."""
    attempt = 0
    while True:
        reference = reference_of(payment, tenant_no, year, attempt)
        if (await books.by_reference([reference])).get(reference, payment) == payment:
            return reference
        attempt += 1
