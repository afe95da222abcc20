"""The web frame's way with input: strict JSON, named fields, idempotency keys, versions, cursors."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message

from shared.language import LANGUAGES
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.web import KEY, connected, problem
from shared.web.body import MAX_BODY_BYTES, MAX_DEPTH
from shared.web.pages import read_cursor, write_cursor
from shared.web.problems import CursorInvalid
from shared.web.sentences import SENTENCES, sentence
from tests.unit.sample_app import WRITE, application

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the sample application, in memory."""
    async with connected(application(FakeIssuer(FakeEnvironment()))) as http:
        yield http


async def test_a_good_write_is_answered(client: httpx.AsyncClient) -> None:
    """Body, header and path arrive."""
    answer = await client.post("/v1/forms/3", json={"name": "Müster", "instalments": 2}, headers=WRITE)
    assert answer.json() == {"number": 3, "name": "Müster", "key": "key-12345"}


async def test_every_wrong_field_is_named_with_what_was_expected(client: httpx.AsyncClient) -> None:
    """Pointers lead to the fields, the sentences name limits and never the value sent."""
    body = {"name": "x" * 21, "instalments": 99, "kind": "geheim", "extra": 1, "children": [{"name": "ok"}]}
    answer = await client.post("/v1/forms/3", json=body, headers=WRITE | {"Accept-Language": "en"})
    document = problem(answer, 422, "validation-failed")
    assert {(e["pointer"], e["code"]): e["detail"] for e in document["errors"]} == {
        ("/name", "string_too_long"): "Expected at most 20 characters.",
        ("/instalments", "less_than_equal"): "Expected at most 12.",
        ("/kind", "literal_error"): "Expected one of these values: 'a' or 'b'.",
        ("/extra", "extra_forbidden"): "This field is not provided for.",
        ("/children/0/instalments", "missing"): "This value is missing.",
    }
    assert not [value for value in ("xxxx", "99", "geheim") if value in str(document["errors"])]


async def test_a_pointer_into_a_union_names_real_fields_only(client: httpx.AsyncClient) -> None:
    """The names that the validator gives to the kinds of a union are not part of the caller's document."""
    for delivery, expected in [
        ({"kind": "post"}, ("/delivery/street", "missing")),
        ({"kind": "post", "street": 7}, ("/delivery/street", "string_type")),
        ({"kind": "pigeon"}, ("/delivery", "union_tag_invalid")),
    ]:
        body = {"name": "a", "instalments": 1, "delivery": delivery}
        errors = problem(await client.post("/v1/forms/3", json=body, headers=WRITE), 422, "validation-failed")["errors"]
        assert [(e["pointer"], e["code"]) for e in errors] == [expected]


async def test_wrong_parameters_say_where_they_are(client: httpx.AsyncClient) -> None:
    """A query or path parameter is marked as such."""
    errors = problem(await client.get("/v1/forms?limit=0"), 422, "validation-failed")["errors"]
    assert [(e["in"], e["pointer"], e["code"]) for e in errors] == [("query", "/limit", "greater_than_equal")]
    errors = problem(await client.get("/v1/forms/x"), 422, "validation-failed")["errors"]
    assert [(e["in"], e["pointer"], e["code"]) for e in errors] == [("path", "/number", "int_parsing")]


DEEP = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"{'a': 1}", b'{"name": NaN}', b'{"name": 1e999}', b'{"name": "a", "name": "b"}', b"\xff", b'"\\ud800"',
        DEEP.encode(), b"[" * 200_000, b"1" * 5000,
    ],
    ids=["cut", "quotes", "nan", "infinite", "twice", "utf-8", "surrogate", "deep", "very-deep", "long-number"],
)  # fmt: skip
async def test_json_is_read_strictly(body: bytes, client: httpx.AsyncClient) -> None:
    """What parsers read differently, or choke on, is 400 before any handler sees it."""
    problem(await client.post("/v1/forms/3", content=body, headers=JSON | WRITE), 400, "malformed-json")


async def test_nesting_is_allowed_up_to_the_limit(client: httpx.AsyncClient) -> None:
    """32 levels are fine (and then fail as a form)."""
    body = DEEP[1:-1].encode()
    problem(await client.post("/v1/forms/3", content=body, headers=JSON | WRITE), 422, "validation-failed")


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "application/json; charset=latin-1"])
async def test_only_json_is_accepted(media_type: str, client: httpx.AsyncClient) -> None:
    """Any other media type is 415."""
    answer = await client.post("/v1/forms/3", content=b"{}", headers={"Content-Type": media_type} | WRITE)
    problem(answer, 415, "unsupported-media-type")


async def test_json_with_utf_8_charset_is_accepted(client: httpx.AsyncClient) -> None:
    """The customary parameter is harmless."""
    headers = {"Content-Type": 'application/json; charset="UTF-8"'} | WRITE
    answer = await client.post("/v1/forms/3", content=b'{"name": "a", "instalments": 1}', headers=headers)
    assert answer.status_code == 200


async def test_large_bodies_are_refused_announced_or_chunked(client: httpx.AsyncClient) -> None:
    """1 MiB is the limit, whether the length is told before or not, and reading stops there."""
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * 65_536

    announced = await client.post("/v1/forms/3", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON | WRITE)
    problem(announced, 413, "too-large")
    problem(await client.post("/v1/forms/3", content=chunks(), headers=JSON | WRITE), 413, "too-large")
    assert sent == 17


async def test_a_body_without_any_header_is_limited_too() -> None:
    """HTTP/2 announces no body; the limit holds all the same."""
    sent: list[Message] = []
    scope = {"type": "http", "method": "POST", "path": "/v1/forms/3", "query_string": b"", "headers": []}

    async def receive() -> Message:
        return {"type": "http.request", "body": b" " * MAX_BODY_BYTES, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    await application(FakeIssuer(FakeEnvironment()))(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_a_write_without_body_is_told_what_is_missing(client: httpx.AsyncClient) -> None:
    """No body at all is a form with a missing body, not a broken one."""
    problem(await client.post("/v1/forms/3", headers=WRITE), 422, "validation-failed")


@pytest.mark.parametrize("key", [None, "short", "x" * 129, "with space in it", "umläut-key"])
async def test_writes_need_an_idempotency_key(key: str | None, client: httpx.AsyncClient) -> None:
    """Missing, too short, too long or not visible ASCII: 400 before anything happens."""
    headers = {} if key is None else {"Idempotency-Key": key.encode("latin-1")}
    answer = await client.post("/v1/forms/3", json={"name": "a", "instalments": 1}, headers=headers)  # type: ignore[arg-type]
    document = problem(answer, 400, "idempotency-key-required")
    assert document["errors"][0]["in"] == "header"


@pytest.mark.parametrize(("if_match", "status"), [('"7"', 200), ("*", 200), ('"6"', 412), ('W/"7"', 412), ("7", 412)])
async def test_changes_can_be_bound_to_a_version(if_match: str, status: int, client: httpx.AsyncClient) -> None:
    """Only the present version passes; the refusal names the present one where it is known."""
    body = {"name": "a", "instalments": 1}
    answer = await client.post("/v1/forms/3", json=body, headers=WRITE | {"If-Match": if_match})
    assert answer.status_code == status
    if if_match == '"6"':
        assert problem(answer, 412, "version-stale")
        assert answer.headers["etag"] == (await client.get("/v1/forms/3")).headers["etag"] == '"7"'


async def test_pages_follow_their_cursor(client: httpx.AsyncClient) -> None:
    """The next page starts where the last one ended."""
    first = (await client.get("/v1/forms")).json()
    second = (await client.get("/v1/forms", params={"cursor": first["next"], "limit": 3})).json()
    assert (first["items"], second["items"]) == ([0, 1], [2, 3, 4])


async def test_a_changed_cursor_is_refused(client: httpx.AsyncClient) -> None:
    """A cursor that we did not sign is 400, whatever it contains."""
    good: str = (await client.get("/v1/forms")).json()["next"]
    for cursor in ("", "x", "é", good[:-1], "A" + good[1:]):
        problem(await client.get("/v1/forms", params={"cursor": cursor}), 400, "cursor-invalid")


def test_a_cursor_is_good_for_its_own_list_only() -> None:
    """Lists, callers and filters are part of the signature; so is the key."""
    cursor = write_cursor(KEY, "forms:lea", (1, "x"))
    assert read_cursor(KEY, "forms:lea", cursor) == (1, "x")
    for key, scope in ((KEY, "forms:eve"), (b"o" * 32, "forms:lea")):
        with pytest.raises(CursorInvalid):
            read_cursor(key, scope, cursor)


def test_every_sentence_has_all_languages_and_the_same_placeholders() -> None:
    """No language lacks a sentence or a limit; unknown errors and missing limits fall back to a general sentence."""
    for code, translations in SENTENCES.items():
        assert set(translations) == set(LANGUAGES)
        assert len({text.count("{") for text in translations.values()}) == 1, code
    assert sentence("something_new", {}) == sentence("string_too_long", {})
    assert len(set(sentence("missing", {}).values())) == len(LANGUAGES)
