"""Callers who may not: bad tokens, another audience, too little scope or assurance, somebody else's dossier."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from deploy.local.journeys.town import HIGHEST
from deploy.local.stack import Stack
from tests.journey.hostile import BANK, RESIDENCE, Bad, Scene, scene_of, submission, wrong_with

ROLES: Final = ("intake-api", "identity-api", "payments-api", "notifications-api", "analytics-api")
ASSURANCE_1: Final = "urn:qa.agov.ch:names:tc:ac:classes:100"
ASSURANCE_2: Final = "urn:qa.agov.ch:names:tc:ac:classes:200"


async def _operations(scene: Scene) -> list[tuple[str, str, str, bool]]:
    """Return every route as (role, method, path, whether it asks for a token), ids filled in."""
    found = []
    for role in ROLES:
        document = (await scene.town.http.get(f"{scene.stack.url(role)}/openapi.json")).json()
        for path, methods in document["paths"].items():
            for name, value in _EXAMPLES.items():
                path = path.replace(f"{{{name}}}", value)
            found += [(role, method.upper(), path, "security" in told) for method, told in methods.items()]
    return found


_EXAMPLES: Final = {
    "dossier_id": "{own}",
    "step": "residence",
    "document": "{own}-certificate",
    "id": "{own}:2",
    "payment": "{own}:2",
    "service_id": RESIDENCE,
}
_PUBLIC: Final = {
    "/v1/services",
    f"/v1/services/{RESIDENCE}",
    "/v1/dossiers/{own}/stream",
    "/v1/webhooks/stripe",
    "/v1/kpis",
    "/v1/kpis/stream",
}
BODIES: Final[dict[str, Any]] = {
    "/v1/dossiers/{own}/consents/residence": {"granted": True},
    "/v1/dossiers/{own}/evidence/residence": {"accepted": True},
    "/v1/dossiers/{own}/payments": {"method": "card"},
    "/v1/dossiers/{own}/decisions": {"step": "decision", "outcome": "accepted"},
}


async def test_every_route_asks_for_a_token_and_a_scope(stack: Stack) -> None:
    """Without a token 401, with a token that carries no scope 403, on every route that is not public."""
    async with scene_of(stack) as scene:
        operations = await _operations(scene)
        assert {path for _, _, path, guarded in operations if not guarded} == _PUBLIC
        assert len(operations) > 20
        wrong = []
        for role, method, path, guarded in operations:
            refusals = [(401, "not-authenticated", ""), (403, "scope-missing", "nothing")] if guarded else []
            for status, slug, who in refusals:
                bad = Bad(f"{method} {path} by {who}", status, slug, method=method, path=path, role=role, who=who)
                wrong += wrong_with(bad, await scene.send(bad))
    assert wrong == []


async def test_somebody_elses_dossier_does_not_exist(stack: Stack) -> None:
    """On every route of a dossier a stranger gets 404, as for an id that nobody has; staff's routes are 403."""
    async with scene_of(stack) as scene:
        operations = [(method, path) for _, method, path, guarded in await _operations(scene) if guarded]
        tried = [(method, path) for method, path in operations if "/dossiers/{own}" in path]
        assert len(tried) >= 12
        wrong = []
        for method, path in tried:
            status, slug = (403, "scope-missing") if path.endswith(("/details", "/decisions")) else (404, "not-found")
            for address in (path, path.replace("{own}", "0" * 26)):
                body = BODIES.get(path)
                bad = Bad(f"{method} {address}", status, slug, None, method, address, "stranger", body)
                wrong += wrong_with(bad, await scene.send(bad))
    assert wrong == []


def _staff(name: str, status: int, slug: str, who: str, path: str, **more: Any) -> Bad:
    return Bad(name, status, slug, path=path, who=who, **more)


_ANSWER: Final = {"step": "identity", "outcome": "accepted"}
STAFF: Final = (
    _staff("agency reads a dossier without its part", 404, "not-found", "agency", "/v1/dossiers/{own}/details"),
    _staff("agency decides a dossier without its part", 404, "not-found", "agency", "/v1/dossiers/{own}/decisions",
           method="POST", json=_ANSWER),
    _staff("agency decides the town's review", 409, "conflict", "agency", "/v1/dossiers/{review}/decisions",
           method="POST", json=_ANSWER),
    _staff("another agency reads", 404, "not-found", "foreign", "/v1/dossiers/{review}/details"),
    _staff("an agency without a name reads", 404, "not-found", "unnamed", "/v1/dossiers/{review}/details"),
    _staff("agency reads as a citizen", 403, "scope-missing", "agency", "/v1/dossiers/{review}"),
    _staff("case worker pays for a citizen", 403, "scope-missing", "caseworker", "/v1/dossiers/{own}/payments",
           method="POST", json={"method": "card"}),
    _staff("case worker books bank files", 403, "scope-missing", "caseworker", "/v1/bank-files", method="POST",
           role="payments-api"),
    _staff("operator reads details", 403, "scope-missing", "operator", "/v1/dossiers/{own}/details"),
    _staff("agency reads payments", 403, "scope-missing", "agency", "/v1/payments?dossier={own}", role="payments-api"),
    _staff("citizen reads messages", 403, "scope-missing", "citizen", "/v1/messages?dossier={own}",
           role="notifications-api"),
    _staff("case worker decides where nothing waits", 409, "conflict", "caseworker", "/v1/dossiers/{own}/decisions",
           method="POST", json=_ANSWER),
    _staff("unknown outcome", 422, "validation-failed", "caseworker", "/v1/dossiers/{review}/decisions",
           method="POST", json={"step": "identity", "outcome": "maybe"}, pointer="/outcome"),
    _staff("reason with a line break", 422, "validation-failed", "caseworker", "/v1/dossiers/{review}/decisions",
           method="POST", json={**_ANSWER, "outcome": "refused", "reasons": ["a\nb"]}, pointer="/reasons/0"),
    _staff("reviews of a pattern", 422, "validation-failed", "caseworker", "/v1/reviews?service=$where",
           pointer="/service"),
)  # fmt: skip


@pytest.mark.parametrize("bad", STAFF, ids=str)
async def test_staff_see_and_do_only_their_part(stack: Stack, bad: Bad) -> None:
    """An agency only takes part where the service says so, and nobody answers another authority's review."""
    async with scene_of(stack) as scene:
        assert wrong_with(bad, await scene.send(bad)) == []


def _key_of_issuer(stack: Stack) -> ECKey:
    stored = json.loads((stack.root / "sandbox" / "oidc" / "oidc-keys.json").read_text())
    return ECKey.import_key(stored[-1])


def _claims(stack: Stack, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": stack.url("oidc"), "aud": "dossierbus", "sub": "person-1000000", "scope": "citizen", "acr": HIGHEST}
    return {**good, "iat": now, "exp": now + 600, **changed}


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _bad_tokens(stack: Stack) -> Iterator[tuple[str, str]]:
    key, now = _key_of_issuer(stack), int(time.time())
    header, algorithms = {"alg": "ES256", "kid": key.kid}, ["ES256", "HS256", "RS256"]
    good = jwt.encode(header, _claims(stack), key, algorithms=algorithms)
    head, body, signature = good.split(".")
    changes: dict[str, dict[str, Any]] = {
        "expired": {"iat": now - 900, "exp": now - 300},
        "not yet valid": {"nbf": now + 3600},
        "issued in the future": {"iat": now + 3600, "exp": now + 7200},
        "of another issuer": {"iss": "https://login.example"},
        "for another audience": {"aud": "another-portal"},
        "without expiry": {"exp": None},
        "for a number": {"sub": 5},
        "for nobody": {"sub": ""},
        "for a query": {"sub": {"$gt": ""}},
    }
    for name, changed in changes.items():
        yield name, jwt.encode(header, _claims(stack, **changed), key, algorithms=algorithms)
    surrogate = json.dumps(_claims(stack, sub="\ud800")).encode()
    yield "for half a surrogate", jws.serialize_compact(header, surrogate, key, algorithms=algorithms)
    yield "forged", jwt.encode(header, _claims(stack), ECKey.generate_key("P-256"), algorithms=algorithms)
    yield (
        "of an unknown key",
        jwt.encode({"alg": "RS256", "kid": "x"}, _claims(stack), RSAKey.generate_key(2048), algorithms=algorithms),
    )
    secret = OctKey.import_key(json.dumps(key.as_dict(private=False)).encode())
    yield "HS256 with the public key", jwt.encode({**header, "alg": "HS256"}, _claims(stack), secret, algorithms)
    yield "unsigned", f"{head}.{body}."
    yield "of algorithm none", f"{_part({'alg': 'none', 'kid': key.kid})}.{body}."
    yield (
        "that brings its own key",
        f"{_part({**header, 'kid': 'mine', 'jwk': key.as_dict(private=False)})}.{body}.{signature}",
    )
    yield "tampered", f"{head}.{_part(_claims(stack, scope='operator'))}.{signature}"
    yield "of nonsense", "nonsense"
    yield "of dots", "..."
    yield "of 9000 signs", "a" * 9000
    yield "of a list", f"{_part([])}.{_part([])}.{signature}"


async def test_bad_tokens_open_nothing(stack: Stack) -> None:
    """Whatever is wrong with a token, the answer is 401 and tells no reason; other schemes are no tokens either."""
    async with scene_of(stack) as scene:
        tokens = list(_bad_tokens(stack))
        assert len(tokens) > 20
        wrong = []
        for name, token in tokens:
            headers = {"Authorization": f"Bearer {token}"}
            bad = Bad(f"token {name}", 401, "not-authenticated", headers=headers)
            answer = await scene.send(bad)
            wrong += wrong_with(bad, answer)
            if not answer.headers.get("www-authenticate", "").startswith("Bearer"):
                wrong.append(f"token {name} gets no challenge")
        for value in ("Basic bGVhOmxlYQ==", "Bearer", "Token abc"):
            bad = Bad(f"header {value!r}", 401, "not-authenticated", headers={"Authorization": value})
            wrong += wrong_with(bad, await scene.send(bad))
    assert wrong == []


async def test_weak_sign_in_is_asked_to_step_up(stack: Stack) -> None:
    """A service that needs more assurance than the sign-in has answers 403 and says how much it needs."""
    async with scene_of(stack) as scene:
        extract = submission(service="debt-register-extract", form={"purpose": "lease", "years": 3})
        for acr, body in ((ASSURANCE_1, submission(service=RESIDENCE, form=dict(BANK))), (ASSURANCE_2, extract)):
            token = await _token(scene, acr)
            bad = Bad(acr, 403, "assurance-too-low", None, "POST", json=body, headers={"Authorization": token})
            answer = await scene.send(bad)
            assert wrong_with(bad, answer) == []
            assert answer.json()["required_assurance"] > answer.json()["assurance"]
            assert "insufficient_user_authentication" in answer.headers["www-authenticate"]


async def _token(scene: Scene, acr: str) -> str:
    order = {"sub": "person-1000000", "scopes": ["citizen"], "acr": acr}
    answer: httpx.Response = await scene.town.http.post(f"{scene.town.oidc}/sandbox/token", json=order)
    return f"Bearer {answer.json()['access_token']}"
