"""Problem details (RFC 9457): the errors an HTTP caller may see, with their status and texts.

    Problem
    ├── BadRequest 400
    │   ├── MalformedJson           not JSON, a name twice, NaN, nested too deeply
    │   ├── IdempotencyKeyRequired  missing, too short or too long
    │   └── CursorInvalid           a page mark that we did not issue
    ├── NotAuthenticated 401
    ├── Forbidden 403
    │   ├── ScopeMissing
    │   └── AssuranceTooLow         sign in again with a stronger means
    ├── NotFound 404
    ├── MethodNotAllowed 405
    ├── RequestTimeout 408          the body did not arrive in time
    ├── Conflict 409
    ├── Gone 410
    ├── PreconditionFailed 412      If-Match names an older version
    ├── TooLarge 413
    ├── UnsupportedMediaType 415
    ├── Invalid 422                 fields with errors
    │   └── IdempotencyKeyReused    the same key with another body
    ├── TooManyRequests 429
    ├── HeadTooLarge 431
    ├── InternalError 500           nothing is told
    └── Unavailable 503             with Retry-After

A service derives its own from these with a `slug` and `title`. Texts never repeat a value that was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from shared.errors import DossierbusError
from shared.language import Language, Texts, pick, texts

TYPE_BASE: Final = "https://dossierbus.org/problems/"
MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field: a JSON Pointer (RFC 6901), a stable code, and a sentence saying what was expected.

    `location` is body, query, path or header.
    """

    pointer: str
    code: str
    detail: Texts | str
    location: str = "body"


class Problem(DossierbusError):  # noqa: N818 - the name of the RFC
    """An answer with an error status. `detail` and errors may be texts in four languages; `extra` adds members."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[Texts] = texts("Interner Fehler", "Erreur interne", "Errore interno", "Internal error")

    def __init__(
        self,
        detail: Texts | str | None = None,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(self.slug)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self, language: Language, instance: str) -> dict[str, Any]:
        """The problem as a JSON object in one language."""
        document: dict[str, Any] = {
            **self.extra,
            "type": TYPE_BASE + self.slug,
            "title": pick(self.title, language),
            "status": self.status,
            "instance": instance,
        }
        if self.detail is not None:
            document["detail"] = pick(self.detail, language)
        if self.errors:
            document["errors"] = [_field(error, language) for error in self.errors]
        return document


def _field(error: FieldProblem, language: Language) -> dict[str, str]:
    field = {"pointer": error.pointer, "detail": pick(error.detail, language), "code": error.code}
    return field if error.location == "body" else {**field, "in": error.location}


class BadRequest(Problem):
    """400: the request cannot be understood."""

    status = 400
    slug = "bad-request"
    title = texts("Unverständliche Anfrage", "Requête incompréhensible", "Richiesta incomprensibile", "Bad request")


class MalformedJson(BadRequest):
    """400: the body is not the JSON we accept."""

    slug = "malformed-json"
    title = texts("Kein gültiges JSON", "JSON non valable", "JSON non valido", "Not valid JSON")


class IdempotencyKeyRequired(BadRequest):
    """400: a write without a usable Idempotency-Key."""

    slug = "idempotency-key-required"
    title = texts(
        "Idempotency-Key fehlt oder ist unbrauchbar",
        "Idempotency-Key absent ou inutilisable",
        "Idempotency-Key mancante o inutilizzabile",
        "Idempotency-Key missing or unusable",
    )


class CursorInvalid(BadRequest):
    """400: a cursor that we did not issue for this list."""

    slug = "cursor-invalid"
    title = texts("Unbekannte Seitenmarke", "Marque de page inconnue", "Segnapagina sconosciuto", "Unknown cursor")


class NotAuthenticated(Problem):
    """401: no token, or none that we accept."""

    status = 401
    slug = "not-authenticated"
    title = texts("Anmeldung nötig", "Authentification requise", "Autenticazione necessaria", "Sign-in required")


class Forbidden(Problem):
    """403: known, but not allowed."""

    status = 403
    slug = "forbidden"
    title = texts("Nicht erlaubt", "Accès refusé", "Accesso negato", "Not allowed")


class ScopeMissing(Forbidden):
    """403: the token lacks the scope."""

    slug = "scope-missing"
    title = texts("Berechtigung fehlt", "Autorisation manquante", "Autorizzazione mancante", "Scope missing")


class AssuranceTooLow(Forbidden):
    """403: the sign-in was too weak; signing in again with a stronger means helps."""

    slug = "assurance-too-low"
    title = texts(
        "Stärkere Anmeldung nötig",
        "Authentification plus forte requise",
        "Autenticazione più forte necessaria",
        "Stronger sign-in required",
    )


class NotFound(Problem):
    """404: nothing here, or nothing that this caller may see."""

    status = 404
    slug = "not-found"
    title = texts("Nicht gefunden", "Introuvable", "Non trovato", "Not found")


class MethodNotAllowed(Problem):
    """405: the address exists, the method does not."""

    status = 405
    slug = "method-not-allowed"
    title = texts("Methode nicht erlaubt", "Méthode non autorisée", "Metodo non consentito", "Method not allowed")


class RequestTimeout(Problem):
    """408: the request took too long to arrive; it may be sent again."""

    status = 408
    slug = "request-timeout"
    title = texts("Zu langsam gesendet", "Envoi trop lent", "Invio troppo lento", "Sent too slowly")


class Conflict(Problem):
    """409: the state does not allow it."""

    status = 409
    slug = "conflict"
    title = texts(
        "Im jetzigen Zustand nicht möglich",
        "Impossible dans l'état actuel",
        "Impossibile nello stato attuale",
        "Not possible in the present state",
    )


class Gone(Problem):
    """410: it was here and is gone for good."""

    status = 410
    slug = "gone"
    title = texts("Nicht mehr vorhanden", "N'existe plus", "Non esiste più", "Gone")


class PreconditionFailed(Problem):
    """412: If-Match names a version that is not the present one."""

    status = 412
    slug = "version-stale"
    title = texts("Inzwischen geändert", "Modifié entre-temps", "Nel frattempo modificato", "Changed in the meantime")


class TooLarge(Problem):
    """413: the body is larger than we read."""

    status = 413
    slug = "too-large"
    title = texts("Zu gross", "Trop volumineux", "Troppo grande", "Too large")


class UnsupportedMediaType(Problem):
    """415: not application/json, or not what the route reads; the detail names it."""

    status = 415
    slug = "unsupported-media-type"
    title = texts(
        "Dieses Format wird hier nicht angenommen",
        "Ce format n'est pas accepté ici",
        "Questo formato non è accettato qui",
        "This format is not accepted here",
    )


class Invalid(Problem):
    """422: fields have errors; `errors` names them."""

    status = 422
    slug = "validation-failed"
    title = texts(
        "Die Angaben sind nicht vollständig oder nicht gültig",
        "Les indications sont incomplètes ou non valables",
        "I dati sono incompleti o non validi",
        "The data is incomplete or not valid",
    )


class IdempotencyKeyReused(Invalid):
    """422: the Idempotency-Key was used before with another body."""

    slug = "idempotency-key-reused"
    title = texts(
        "Idempotency-Key schon für eine andere Anfrage verwendet",
        "Idempotency-Key déjà utilisé pour une autre requête",
        "Idempotency-Key già usato per un'altra richiesta",
        "Idempotency-Key already used for another request",
    )


class TooManyRequests(Problem):
    """429: slow down; give Retry-After in `headers`."""

    status = 429
    slug = "too-many-requests"
    title = texts("Zu viele Anfragen", "Trop de requêtes", "Troppe richieste", "Too many requests")


class HeadTooLarge(Problem):
    """431: address and headers are larger than we read."""

    status = 431
    slug = "head-too-large"
    title = texts("Kopf zu gross", "En-tête trop volumineux", "Intestazione troppo grande", "Head too large")


class InternalError(Problem):
    """500: our fault; nothing is told beyond the instance."""


class Unavailable(Problem):
    """503: try again soon."""

    status = 503
    slug = "unavailable"
    title = texts(
        "Vorübergehend nicht verfügbar",
        "Momentanément indisponible",
        "Momentaneamente non disponibile",
        "Temporarily unavailable",
    )

    def __init__(self, detail: Texts | str | None = None, *, retry_after_seconds: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})
