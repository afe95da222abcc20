"""Bearer tokens and access rules, against an issuer in memory with real signatures."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from shared.auth import (
    LEEWAY_SECONDS,
    REMEMBERED_SECONDS,
    Caller,
    TokenVerifier,
)
from shared.errors import IssuerUnavailable
from shared.jwks import MAX_AGE, MIN_INTERVAL
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import ISSUER, FakeIssuer
from shared.web.problems import NotAuthenticated


@pytest.fixture
def environment() -> FakeEnvironment:
    """A clock moved by hand."""
    return FakeEnvironment()


@pytest.fixture
def issuer(environment: FakeEnvironment) -> FakeIssuer:
    """An issuer with one ES256 key."""
    return FakeIssuer(environment)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """A token put together by hand."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    return ".".join([*parts, signature])


async def test_a_good_token_names_the_caller(issuer: FakeIssuer) -> None:
    """Subject, scopes, assurance, agency and language are read from the claims."""
    token = issuer.token("muster", ("citizen", "agency"), 400, agency="betreibungsamt", locale="fr-CH")
    caller = await issuer.verifier().verify(token)
    assert caller == Caller("muster", frozenset({"citizen", "agency"}), 4, "betreibungsamt", ("fr",))


async def test_keys_are_fetched_once(issuer: FakeIssuer) -> None:
    """Many tokens cost one discovery and one key set."""
    verifier = issuer.verifier()
    for _ in range(5):
        await verifier.verify(issuer.token())
    assert issuer.requests == 2


async def test_of_rsa_only_rs256_is_accepted(issuer: FakeIssuer) -> None:
    """RSA keys are as good as elliptic curves; of their algorithms RS256 alone is accepted."""
    key = RSAKey.generate_key(2048, {"kid": "rsa"})

    def answer(request: httpx.Request) -> httpx.Response:
        found = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        keys = {"keys": [key.as_dict(private=False)]}
        return httpx.Response(200, json=found if "well-known" in request.url.path else keys)

    issuer.transport = httpx.MockTransport(answer)
    verifier = issuer.verifier()
    token = jwt.encode({"alg": "RS256", "kid": "rsa"}, issuer.claims("lea", ["citizen"]), key)
    assert (await verifier.verify(token)).subject == "lea"
    for algorithm in ("RS512", "PS256"):
        other = jwt.encode({"alg": algorithm, "kid": "rsa"}, issuer.claims("lea", ["citizen"]), key, [algorithm])
        with pytest.raises(NotAuthenticated):
            await verifier.verify(other)


def _forged(issuer: FakeIssuer) -> str:
    return jwt.encode({"alg": "ES256", "kid": "key-1"}, issuer.claims("eve", ["operator"]), ECKey.generate_key("P-256"))


def _altered(issuer: FakeIssuer) -> str:
    head, _, signature = issuer.token().split(".")
    body = base64.urlsafe_b64encode(json.dumps(issuer.claims("eve", ["operator"])).encode()).decode().rstrip("=")
    return ".".join((head, body, signature))


def _unsigned(issuer: FakeIssuer) -> str:
    return unsigned({"alg": "none", "kid": "key-1"}, issuer.claims("eve", ["operator"]))


def _public_key_as_secret(issuer: FakeIssuer) -> str:
    # By hand: the library refuses to make this well-known forgery.
    signed = unsigned({"alg": "HS256", "kid": "key-1"}, issuer.claims("eve", ["operator"]))[:-1]
    mac = hmac.new(issuer.key.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def _own_key_in_header(issuer: FakeIssuer) -> str:
    own = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "kid": "key-1", "jwk": own.as_dict(private=False)}
    return jwt.encode(header, issuer.claims("eve", ["operator"]), own)


def _unknown_kid(issuer: FakeIssuer) -> str:
    return jwt.encode({"alg": "ES256", "kid": "nobody"}, issuer.claims("eve", ["operator"]), issuer.key)


def _no_kid(issuer: FakeIssuer) -> str:
    return jwt.encode({"alg": "ES256"}, issuer.claims("lea", ["citizen"]), issuer.key)


FORGERIES = [_forged, _altered, _unsigned, _public_key_as_secret, _own_key_in_header, _unknown_kid, _no_kid]


@pytest.mark.parametrize("forge", FORGERIES)
async def test_forgeries_are_refused(forge: Callable[[FakeIssuer], str], issuer: FakeIssuer) -> None:
    """A signature by anyone but the issuer's key, or none at all, is 401."""
    with pytest.raises(NotAuthenticated) as caught:
        await issuer.verifier().verify(forge(issuer))
    assert caught.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "..", "é.é.é", "x" * 9000, "bm90.anNvbg.AA"])
async def test_nonsense_is_refused_without_asking_the_issuer(text: str, issuer: FakeIssuer) -> None:
    """What is no token at all is 401 and costs no request."""
    with pytest.raises(NotAuthenticated):
        await issuer.verifier().verify(text)
    assert issuer.requests == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-api"},
        {"aud": ["another-api"]},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": None},
    ],
)
async def test_wrong_or_missing_claims_are_refused(wrong: dict[str, Any], issuer: FakeIssuer) -> None:
    """Issuer, audience, subject and times must be there and be ours."""
    with pytest.raises(NotAuthenticated):
        await issuer.verifier().verify(issuer.token(**wrong))


@pytest.mark.parametrize(("claim", "good_offset", "bad_offset"), [("exp", -29, -30), ("nbf", 30, 31), ("iat", 30, 31)])
async def test_clocks_may_differ_by_30_seconds(
    claim: str, good_offset: int, bad_offset: int, issuer: FakeIssuer
) -> None:
    """Expiry, not-before and issue time have 30 seconds of leeway and not one more."""
    now = issuer.claims("lea", [])["iat"]
    verifier = issuer.verifier()
    assert await verifier.verify(issuer.token(**{claim: now + good_offset}))
    with pytest.raises(NotAuthenticated):
        await verifier.verify(issuer.token(**{claim: now + bad_offset}))


@pytest.mark.parametrize(
    ("acr", "assurance"),
    [
        ("urn:qa.agov.ch:names:tc:ac:classes:100", 1),
        ("urn:qa.agov.ch:names:tc:ac:classes:300", 3),
        ("urn:qa.agov.ch:names:tc:ac:classes:600", 4),
        ("http://eidas.europa.eu/LoA/substantial", 3),
        ("STORK-QAA-Level-4", 4),
        ("something-new", 1),
        (None, 1),
        (["urn:qa.agov.ch:names:tc:ac:classes:600"], 1),
    ],
)
async def test_assurance_ladder(acr: object, assurance: int, issuer: FakeIssuer) -> None:
    """Each federation's level becomes one of ours; what we do not know counts as merely signed in."""
    assert (await issuer.verifier().verify(issuer.token(acr=acr))).assurance == assurance


async def test_a_rotated_key_is_found_and_asking_is_rate_limited(
    issuer: FakeIssuer, environment: FakeEnvironment
) -> None:
    """An unknown key id asks the issuer again, at most every ten seconds."""
    verifier = issuer.verifier()
    await verifier.verify(issuer.token())
    issuer.rotate()
    with pytest.raises(NotAuthenticated):
        await verifier.verify(issuer.token())
    assert issuer.requests == 2
    environment.advance(MIN_INTERVAL)
    assert await verifier.verify(issuer.token())
    assert issuer.requests == 4


async def test_a_withdrawn_key_stops_working_after_an_hour(issuer: FakeIssuer, environment: FakeEnvironment) -> None:
    """A key that the issuer no longer publishes is dropped with the next refresh."""
    verifier, stolen = issuer.verifier(), issuer.key
    await verifier.verify(issuer.token())
    issuer.rotate()
    environment.advance(MAX_AGE)
    token = jwt.encode({"alg": "ES256", "kid": "key-1"}, issuer.claims("eve", ["operator"]), stolen)
    with pytest.raises(NotAuthenticated):
        await verifier.verify(token)


async def test_a_verified_token_is_remembered_for_half_a_minute(
    issuer: FakeIssuer, environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second request costs no signature check; a token that differs in one sign does, and so does the same later."""
    verifier, token = issuer.verifier(), issuer.token()
    caller, checked = await verifier.verify(token), list[str]()
    original = TokenVerifier._signed

    async def signed(self: TokenVerifier, token: str) -> dict[str, Any]:
        checked.append(token)
        return await original(self, token)

    monkeypatch.setattr(TokenVerifier, "_signed", signed)
    assert await verifier.verify(token) == caller
    assert not checked
    with pytest.raises(NotAuthenticated):
        await verifier.verify(token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1])
    environment.advance(timedelta(seconds=REMEMBERED_SECONDS))
    assert await verifier.verify(token) == caller
    assert checked[1:] == [token]


async def test_a_remembered_token_ends_with_itself_and_with_its_key(
    issuer: FakeIssuer, environment: FakeEnvironment
) -> None:
    """Being remembered helps no token past its end (with the leeway of every token) nor past its key's withdrawal."""
    now = int(environment.now().timestamp())
    verifier, short = issuer.verifier(), issuer.token(exp=now + 5)
    long = issuer.token()
    for token in (short, long):
        await verifier.verify(token)
    environment.advance(timedelta(seconds=5 + LEEWAY_SECONDS + 1))
    with pytest.raises(NotAuthenticated):
        await verifier.verify(short)
    assert await verifier.verify(long)
    issuer.rotate()
    assert await verifier.verify(issuer.token())
    with pytest.raises(NotAuthenticated):
        await verifier.verify(long)


async def test_few_tokens_are_remembered(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the memory with tokens; the caller's token itself is kept nowhere."""
    monkeypatch.setattr("shared.auth.REMEMBERED", 3)
    verifier = issuer.verifier()
    tokens = [issuer.token(f"person-{number}") for number in range(5)]
    for token in tokens:
        await verifier.verify(token)
    assert len(verifier._verified) == 3
    assert not any(token in repr(verifier._verified) for token in tokens)


async def test_a_token_that_counts_no_longer_is_forgotten(issuer: FakeIssuer, environment: FakeEnvironment) -> None:
    """Who came half a minute ago takes no memory once somebody else comes."""
    verifier = issuer.verifier()
    await verifier.verify(issuer.token("early"))
    environment.advance(timedelta(seconds=REMEMBERED_SECONDS))
    await verifier.verify(issuer.token("late"))
    assert [one.caller.subject for one in verifier._verified.values()] == ["late"]


async def test_an_unreachable_issuer_is_not_the_callers_fault(issuer: FakeIssuer, environment: FakeEnvironment) -> None:
    """Without keys the answer is "try again", never "not authenticated"; with keys all goes on."""
    verifier = issuer.verifier()
    issuer.down = True
    for _ in range(2):
        with pytest.raises(IssuerUnavailable):
            await verifier.verify(issuer.token())
    assert issuer.requests == 1
    issuer.down = False
    environment.advance(MIN_INTERVAL)
    assert await verifier.verify(issuer.token())
    issuer.down = True
    environment.advance(MAX_AGE + timedelta(hours=5))
    assert await verifier.verify(issuer.token())


async def test_a_discovery_document_of_another_issuer_is_not_believed(issuer: FakeIssuer) -> None:
    """The document must name the issuer that was asked (OpenID Connect Discovery 4.3)."""
    issuer.named = "https://evil.example"
    with pytest.raises(IssuerUnavailable):
        await issuer.verifier().verify(issuer.token())
