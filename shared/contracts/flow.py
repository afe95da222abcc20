"""Who acts on which event, and what the event does to a step. Data for the documentation; decides nothing.

The consumers stated here are compared by test with the subscriptions of the running roles, the effects on steps with
what the process engine does. Services are not imported: `shared` knows none of them.
"""

from collections.abc import Mapping
from typing import Final

from shared.contracts import dossier, identity, notifications, payments
from shared.contracts.event import Event

CONSUMERS: Final[Mapping[type[Event], tuple[str, ...]]] = {
    dossier.DossierSubmitted: ("analytics",),
    dossier.IdentityCheckRequested: ("identity",),
    dossier.EvidenceRequested: ("identity-reuse",),
    dossier.EvidenceAccepted: ("analytics",),
    dossier.EvidenceRejected: ("analytics",),
    dossier.PaymentRequested: ("payments",),
    dossier.DossierDecided: ("analytics",),
    dossier.StepCancelled: ("identity", "identity-reuse", "payments"),
    dossier.DossierStatusChanged: ("notifications", "analytics"),
    dossier.DossierClosed: ("analytics",),
    identity.IdentityCheckOpened: ("analytics",),
    identity.IdentityConfirmed: ("intake", "analytics"),
    identity.IdentityMismatched: ("intake", "analytics"),
    identity.IdentityCheckDelayed: ("intake",),
    identity.IdentityCheckFailed: ("intake", "analytics"),
    identity.IdentityCheckCancelled: ("intake", "analytics"),
    identity.EvidenceFetchOpened: ("analytics",),
    identity.EvidenceFetched: ("intake", "analytics"),
    identity.EvidenceDelayed: ("intake",),
    identity.EvidenceUnavailable: ("intake", "analytics"),
    identity.EvidenceFetchCancelled: ("intake", "analytics"),
    payments.PaymentOpened: ("analytics",),
    payments.CheckoutCreated: ("intake",),
    payments.InvoiceIssued: ("intake",),
    payments.PaymentDelayed: ("intake",),
    payments.PaymentSucceeded: ("intake", "analytics"),
    payments.PaymentDeclined: ("intake", "analytics"),
    payments.PaymentExpired: ("intake", "analytics"),
    payments.PaymentCancelled: ("intake", "analytics"),
    payments.PaymentRefunded: ("intake", "analytics"),
    notifications.MessageQueued: ("analytics",),
    notifications.MessageSent: ("intake", "analytics"),
    notifications.MessageFailed: ("intake", "analytics"),
    notifications.MessageSuppressed: ("intake", "analytics"),
}
"""Consumer groups that have a handler for an event; agency events are read by their agency and not listed."""

STEPS: Final[Mapping[type[Event], str]] = {
    dossier.IdentityCheckRequested: "opens `identity`",
    dossier.ConsentRequested: "opens `evidence`",
    dossier.ConsentGiven: "opens `evidence` when given on submitting; else moves it on",
    dossier.ConsentRefused: "asks for a review",
    dossier.EvidenceRequested: "moves `evidence` on",
    dossier.EvidenceAccepted: "closes `evidence`",
    dossier.EvidenceRejected: "asks for a review",
    dossier.PaymentRequested: "opens `payment`, or its next attempt",
    dossier.StepOpened: "opens `decision` or `document`",
    dossier.RulesEvaluated: "closes `decision`, or asks for a review",
    dossier.ReviewRequested: "hands the step to a person",
    dossier.ReviewCompleted: "closes the step, or refuses the dossier",
    dossier.DocumentIssued: "closes `document`",
    dossier.StepCompleted: "closed: what comes after may begin",
    dossier.StepCancelled: "the request is not wanted any more",
    identity.IdentityConfirmed: "closes `identity`",
    identity.IdentityMismatched: "asks for a review",
    identity.IdentityCheckDelayed: "`identity` waits",
    identity.IdentityCheckFailed: "asks for a review",
    identity.EvidenceFetched: "`evidence` waits for the applicant",
    identity.EvidenceDelayed: "`evidence` waits",
    identity.EvidenceUnavailable: "asks for a review",
    payments.CheckoutCreated: "`payment` waits for the applicant",
    payments.InvoiceIssued: "`payment` waits for the applicant",
    payments.PaymentDelayed: "`payment` waits",
    payments.PaymentSucceeded: "closes `payment`",
    payments.PaymentDeclined: "`payment` waits for another attempt",
    payments.PaymentExpired: "`payment` waits for another attempt",
}
"""What an event does to a step, in a few words; an event that is not listed leaves all steps as they are."""
