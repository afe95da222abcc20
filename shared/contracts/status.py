"""The one public status model: code, who is waited on, the next action, localized text. Owns no transition."""

from typing import Final, Literal, get_args

Language = Literal["de", "fr", "it", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

StatusCode = Literal[
    "received",
    "delayed",
    "consent_needed",
    "evidence_ready",
    "payment_due",
    "payment_declined",
    "payment_abandoned",
    "in_progress",
    "in_review",
    "completed",
    "refused",
    "withdrawn",
    "expired",
]
STATUS_CODES: Final[tuple[StatusCode, ...]] = get_args(StatusCode)
ENDINGS: Final[frozenset[StatusCode]] = frozenset({"completed", "refused", "withdrawn", "expired"})

WaitingFor = Literal["applicant", "authority", "register", "nobody"]
NextAction = Literal["give_consent", "confirm_evidence", "pay", "pay_again", "download", "contact_authority"]

TEXTS: Final[dict[StatusCode, dict[Language, str]]] = {
    "received": {
        "de": "Ihre Anfrage ist eingegangen und wird geprüft.",
        "fr": "Votre demande nous est parvenue et est en cours d’examen.",
        "it": "La sua richiesta è pervenuta ed è in corso di verifica.",
        "en": "We have received your request and are checking it.",
    },
    "delayed": {
        "de": "Ein nötiger Dienst ist zurzeit nicht erreichbar. Wir versuchen es weiter; Sie müssen nichts tun.",
        "fr": "Un service nécessaire est momentanément inaccessible. Nous réessayons; vous n’avez rien à faire.",
        "it": "Un servizio necessario non è al momento raggiungibile. Riproviamo noi; non deve fare nulla.",
        "en": "A service that we need cannot be reached at the moment. We keep trying; you need not do anything.",
    },
    "consent_needed": {
        "de": "Bitte sagen Sie uns, ob wir einen Nachweis für Sie abrufen dürfen.",
        "fr": "Veuillez nous indiquer si nous pouvons obtenir une preuve pour vous.",
        "it": "Ci dica se possiamo richiamare una prova per lei.",
        "en": "Please tell us whether we may fetch a piece of evidence for you.",
    },
    "evidence_ready": {
        "de": "Ein Nachweis liegt vor. Bitte sehen Sie ihn an und bestätigen Sie ihn.",
        "fr": "Une preuve est disponible. Veuillez la consulter et la confirmer.",
        "it": "Una prova è disponibile. La controlli e la confermi.",
        "en": "A piece of evidence is ready. Please look at it and confirm it.",
    },
    "payment_due": {
        "de": "Bitte bezahlen Sie die Gebühr.",
        "fr": "Veuillez payer l’émolument.",
        "it": "La preghiamo di pagare la tassa.",
        "en": "Please pay the fee.",
    },
    "payment_declined": {
        "de": "Die Zahlung wurde abgelehnt. Sie können es noch einmal versuchen.",
        "fr": "Le paiement a été refusé. Vous pouvez réessayer.",
        "it": "Il pagamento è stato rifiutato. Può riprovare.",
        "en": "The payment was declined. You can try again.",
    },
    "payment_abandoned": {
        "de": "Die Zahlung wurde nicht abgeschlossen. Sie können es noch einmal versuchen.",
        "fr": "Le paiement n’a pas été terminé. Vous pouvez réessayer.",
        "it": "Il pagamento non è stato concluso. Può riprovare.",
        "en": "The payment was not completed. You can try again.",
    },
    "in_progress": {
        "de": "Danke. Ihre Anfrage wird bearbeitet.",
        "fr": "Merci. Votre demande est en cours de traitement.",
        "it": "Grazie. La sua richiesta è in elaborazione.",
        "en": "Thank you. Your request is being processed.",
    },
    "in_review": {
        "de": "Eine Fachperson prüft Ihre Anfrage.",
        "fr": "Une personne compétente examine votre demande.",
        "it": "Una persona competente esamina la sua richiesta.",
        "en": "A case worker is looking at your request.",
    },
    "completed": {
        "de": "Ihre Anfrage ist erledigt. Das Dokument liegt bereit.",
        "fr": "Votre demande est traitée. Le document est disponible.",
        "it": "La sua richiesta è evasa. Il documento è pronto.",
        "en": "Your request is completed. The document is ready.",
    },
    "refused": {
        "de": "Ihre Anfrage wurde abgelehnt. Bitte wenden Sie sich bei Fragen an uns.",
        "fr": "Votre demande a été refusée. Adressez-vous à nous pour toute question.",
        "it": "La sua richiesta è stata respinta. Per domande si rivolga a noi.",
        "en": "Your request was refused. Please contact us if you have questions.",
    },
    "withdrawn": {
        "de": "Sie haben Ihre Anfrage zurückgezogen.",
        "fr": "Vous avez retiré votre demande.",
        "it": "Ha ritirato la sua richiesta.",
        "en": "You have withdrawn your request.",
    },
    "expired": {
        "de": "Eine Frist ist abgelaufen; die Anfrage ist geschlossen. Sie können sie neu stellen.",
        "fr": "Un délai est échu; la demande est close. Vous pouvez en déposer une nouvelle.",
        "it": "Un termine è scaduto; la richiesta è chiusa. Può presentarne una nuova.",
        "en": "A deadline has passed; the request is closed. You can make a new one.",
    },
}
