"""Bodies, addresses and headers that no portal sends: each is refused with what was expected, none is a 5xx."""

from typing import Any, Final

import pytest

from deploy.local.stack import Stack
from tests.journey.hostile import BANK, RESIDENCE, Bad, language_of, scene_of, submission, wrong_with

JSON: Final = {"Content-Type": "application/json"}
NESTED: Final = b'{"form": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def _form(name: str, pointer: str, **changed: Any) -> Bad:
    return Bad(name, 422, "validation-failed", pointer, "POST", json=submission(**changed))


def _malformed(name: str, content: bytes) -> Bad:
    return Bad(name, 400, "malformed-json", None, "POST", content=content, headers=JSON)


def _path(name: str, path: str, status: int, slug: str, pointer: str | None = None, **more: Any) -> Bad:
    return Bad(name, status, slug, pointer, path=path, **more)


FIELDS: Final = (
    _form("service is null", "/service", service=None),
    _form("service is a number", "/service", service=7),
    _form("unknown service", "/service", service="passport"),
    _form("service asks the database", "/service", service={"$gt": ""}),
    _form("service with a path", "/service", service="../payment-slips"),
    _form("person is missing", "/person", person=...),
    _form("person is a list", "/person", person=[]),
    _form("name is missing", "/person/official_name", person__official_name=...),
    _form("name is empty", "/person/first_name", person__first_name=""),
    _form("name is blank", "/person/first_name", person__first_name=" \u00a0 "),
    _form("name is an object", "/person/first_name", person__first_name={"$ne": None}),
    _form("name is too long", "/person/official_name", person__official_name="M" * 101),
    _form("name with a zero byte", "/person/official_name", person__official_name="Mus\u0000ter"),
    _form("name with a line break", "/person/official_name", person__official_name="Muster\r\nBcc: a@example.ch"),
    _form("name turns the text around", "/person/official_name", person__official_name="\u202eretsuM"),
    _form("name with markup", "/person/official_name", person__official_name="<script>alert(1)</script>"),
    _form("name of pictures", "/person/first_name", person__first_name="\U0001f600"),
    _form("name of invisible signs", "/person/first_name", person__first_name="\u200b\u200d\ufeff"),
    _form("unknown personal field", "/person", person__nickname="Lea"),
    _form("AHV number with a wrong check digit", "/person/ahv", person__ahv="756.9217.0769.84"),
    _form("AHV number of another country", "/person/ahv", person__ahv="757.9217.0769.85"),
    _form("AHV number in full-width digits", "/person/ahv", person__ahv="７５６９２１７０７６９８５"),
    _form("AHV number as a number", "/person/ahv", person__ahv=7569217076985),
    _form("30 February", "/person/date_of_birth", person__date_of_birth="1990-02-30"),
    _form("29 February of a common year", "/person/date_of_birth", person__date_of_birth="1900-02-29"),
    _form("date with a time", "/person/date_of_birth", person__date_of_birth="1990-05-17T00:00:00Z"),
    _form("born in the future", "/person/date_of_birth", person__date_of_birth="2999-01-01"),
    _form("e-mail without a domain", "/contact/email", contact__email="lea"),
    _form("e-mail with a second header", "/contact/email", contact__email="lea@example.ch\r\nBcc: b@example.ch"),
    _form("two e-mail addresses", "/contact/email", contact__email="lea@example.ch, noah@example.ch"),
    _form("e-mail in Cyrillic", "/contact/email", contact__email="lеa@example.ch"),
    _form("contact name with a second header", "/contact/name", contact__name="Lea\r\nBcc: b@example.ch"),
    _form("count is a text", "/form/count", form__count="1"),
    _form("count is true", "/form/count", form__count=True),
    _form("count is a fraction", "/form/count", form__count=1.5),
    _form("count is negative", "/form/count", form__count=-1),
    _form("count beyond any integer", "/form", form__count=10**40),
    _form("unknown form field", "/form", form__discount=100),
    _form("tax without a year", "/form/tax_year", form__account="tax"),
    _form("unknown top field", "/dossier", dossier="x"),
    _form("language nobody speaks here", "/language", language="rm"),
    _form("consents are a text", "/consents", consents="residence"),
    _form("consent to an unknown step", "/consents/0", consents=["everything"]),
    _form("consent given twice", "/consents/1", service=RESIDENCE, form=dict(BANK), consents=["residence"] * 2),
    _form("too many consents", "/consents", consents=["residence"] * 21),
    _form("payment method nobody offers", "/payment_method", payment_method="cash"),
    _form("paying for what is free", "/payment_method", payment_method="card"),
)
BODIES: Final = (
    Bad("no body", 422, "validation-failed", "", "POST", headers=JSON),
    Bad("a list as body", 422, "validation-failed", "", "POST", json=[submission()]),
    _malformed("not JSON", b"service=payment-slips"),
    _malformed("half a JSON", b'{"service": '),
    _malformed("a value after the value", b"{} {}"),
    _malformed("nested 200000 times", NESTED),
    _malformed("nested 40 times", b'{"form": ' + b"[" * 40 + b"]" * 40 + b"}"),
    _malformed("NaN", b'{"form": {"count": NaN}}'),
    _malformed("infinite", b'{"form": {"count": 1e999}}'),
    _malformed("a name twice", b'{"service": "payment-slips", "service": "passport"}'),
    _malformed("invalid UTF-8", b'{"service": "\xff\xfe"}'),
    _malformed("half a surrogate pair", b'{"person": {"official_name": "\\ud800"}}'),
    _malformed("UTF-16", '{"service": "x"}'.encode("utf-16")),
    _malformed("a number of 5000 digits", b'{"form": {"count": ' + b"9" * 5000 + b"}}"),
    Bad("1 MiB and one byte", 413, "too-large", None, "POST", content=b" " * (2**20 + 1), headers=JSON),
    Bad("a text", 415, "unsupported-media-type", None, "POST", content=b"{}", headers={"Content-Type": "text/plain"}),
    Bad("no content type", 415, "unsupported-media-type", None, "POST", content=b"{}"),
    Bad("a form", 415, "unsupported-media-type", None, "POST", content=b"a=b", headers={"Content-Type": "a/x-www-f"}),
    Bad("Latin-1", 415, "unsupported-media-type", None, "POST", content=b"{}",
        headers={"Content-Type": "application/json; charset=iso-8859-1"}),
)  # fmt: skip
ADDRESSES: Final = (
    _path("unknown address", "/v1/secrets", 404, "not-found"),
    _path("slash at the end", "/v1/dossiers/", 404, "not-found"),
    _path("path out of the folder", "/v1/dossiers/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, "not-found"),
    _path("id asks the database", "/v1/dossiers/$gt", 422, "validation-failed", "/dossier_id"),
    _path("id with dots", "/v1/dossiers/state.applicant", 422, "validation-failed", "/dossier_id"),
    _path("id with SQL", "/v1/dossiers/1'%20OR%20'1'='1", 422, "validation-failed", "/dossier_id"),
    _path("id with a zero byte", "/v1/dossiers/%00", 422, "validation-failed", "/dossier_id"),
    _path("id of broken UTF-8", "/v1/dossiers/%ff%fe", 422, "validation-failed", "/dossier_id"),
    _path("id in capitals", "/v1/dossiers/" + "A" * 26, 422, "validation-failed", "/dossier_id"),
    _path("id nobody has", "/v1/dossiers/" + "0" * 26, 404, "not-found"),
    _path("document out of the folder", "/v1/dossiers/{done}/documents/..%2f..%2fsecrets.json", 404, "not-found"),
    _path("document with dots", "/v1/dossiers/{done}/documents/%2e%2e", 422, "validation-failed", "/document"),
    _path("document with a dollar", "/v1/dossiers/{done}/documents/$ne", 422, "validation-failed", "/document"),
    _path("document of another dossier", "/v1/dossiers/{own}/documents/{document}", 404, "not-found"),
    _path("bill of what is free", "/v1/dossiers/{done}/bill", 404, "not-found"),
    _path("service out of the catalogue", "/v1/services/..%5c..%5cpyproject", 422, "validation-failed", "/service_id"),
    _path("service nobody offers", "/v1/services/passport", 404, "not-found"),
    _path("no entries at all", "/v1/dossiers?limit=0", 422, "validation-failed", "/limit"),
    _path("all entries", "/v1/dossiers?limit=1000000", 422, "validation-failed", "/limit"),
    _path("limit is a text", "/v1/dossiers?limit=many", 422, "validation-failed", "/limit"),
    _path("made up cursor", "/v1/dossiers?cursor=WyIwIl0", 400, "cursor-invalid"),
    _path("cursor of broken base64", "/v1/dossiers?cursor=%C3%A4%00", 400, "cursor-invalid"),
    _path("cursor is endless", "/v1/dossiers?cursor=" + "A" * 501, 422, "validation-failed", "/cursor"),
    _path("wrong method", "/v1/dossiers", 405, "method-not-allowed", method="DELETE"),
    _path("invented method", "/v1/dossiers", 405, "method-not-allowed", method="CONJURE"),
    _path("trace method", "/v1/dossiers/{own}", 405, "method-not-allowed", method="TRACE"),
    _path("payment asks the database", "/v1/payments/$gt", 404, "not-found", role="payments-api", who="operator"),
    _path("payments of all", "/v1/payments?dossier=.*", 422, "validation-failed", "/dossier", role="payments-api",
          who="operator"),
    _path("check without a number", "/v1/checks/x:y", 422, "validation-failed", "/id", role="identity-api",
          who="operator"),
    _path("messages of all", "/v1/messages?dossier[$ne]=x", 422, "validation-failed", "/dossier",
          role="notifications-api", who="operator"),
    _path("file out of the live page", "/page/..%2fapi.py", 404, "not-found", role="analytics-api", who=""),
)  # fmt: skip


@pytest.mark.parametrize("bad", [*FIELDS, *BODIES, *ADDRESSES], ids=str)
async def test_bad_input_is_refused_with_what_was_expected(stack: Stack, bad: Bad) -> None:
    """Complete problem details with status, type and pointer, in the language asked for."""
    async with scene_of(stack) as scene:
        assert wrong_with(bad, await scene.send(bad)) == []


def test_all_languages_have_been_asked_for() -> None:
    """The bad requests between them ask for all four languages."""
    assert {language_of(bad) for bad in FIELDS} == {"de", "fr", "it", "en"}
