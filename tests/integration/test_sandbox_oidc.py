"""The development OpenID provider, spoken to as a relying party and as a resource server would."""

import base64
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from deploy.local.sandbox.oidc import OidcSettings, create_app
from deploy.local.sandbox.testing import free_port, serving

CALLBACK = "http://127.0.0.1:9/callback?keep=me"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-43chars"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
AGOV_300 = "urn:qa.agov.ch:names:tc:ac:classes:300"
AGOV_400 = "urn:qa.agov.ch:names:tc:ac:classes:400"
REQUEST = {
    "client_id": "portal",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid profile email citizen operator",
    "state": "state-1",
    "nonce": "nonce-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "acr_values": AGOV_300,
}


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a freshly started provider."""
    port = free_port()
    app = create_app(OidcSettings(data_dir=tmp_path, http_port=port))
    with serving(app, port) as url, httpx.Client(base_url=url, timeout=5) as client:
        yield client


def _claims(provider: httpx.Client, token: str) -> dict[str, Any]:
    discovery = provider.get("/.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(provider.get(discovery["jwks_uri"]).json())
    return dict(jwt.decode(token, keys, algorithms=["ES256"]).claims)


def _log_in(provider: httpx.Client, acr: str = AGOV_300, **changes: str) -> dict[str, str]:
    form = REQUEST | {"sub": "person-1000000", "acr": acr} | changes
    answer = provider.post("/authorize", data=form)
    assert answer.status_code == 303, answer.text
    target = urlsplit(answer.headers["location"])
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def _redeem(provider: httpx.Client, code: str, verifier: str = VERIFIER) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "client_id": "portal", "redirect_uri": CALLBACK}
    return provider.post("/token", data=form | {"code_verifier": verifier})


def test_test_token_verifies_against_the_published_keys(provider: httpx.Client) -> None:
    """A token from /sandbox/token carries exactly the ordered claims and verifies with the JWKS alone."""
    order = {"sub": "person-1", "scopes": ["citizen", "openid"], "acr": AGOV_400, "claims": {"agency": "a1"}}
    claims = _claims(provider, provider.post("/sandbox/token", json=order).json()["access_token"])
    issuer = str(provider.base_url).rstrip("/")
    assert (claims["iss"], claims["aud"], claims["sub"]) == (issuer, "dossierbus", "person-1")
    assert (claims["scope"], claims["acr"], claims["agency"]) == ("citizen openid", AGOV_400, "a1")
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 10


def test_code_flow_answers_with_nonce_acr_and_only_granted_roles(provider: httpx.Client) -> None:
    """The code flow returns state and issuer, an ID token with nonce and acr, and no role the person lacks."""
    back = _log_in(provider)
    assert (back["keep"], back["state"], back["iss"]) == ("me", "state-1", str(provider.base_url).rstrip("/"))
    tokens = _redeem(provider, back["code"]).json()
    identity = _claims(provider, tokens["id_token"])
    assert (identity["nonce"], identity["acr"], identity["aud"]) == ("nonce-1", AGOV_300, "portal")
    access = _claims(provider, tokens["access_token"])
    assert access["scope"].split() == ["citizen", "email", "openid", "profile"]
    userinfo = provider.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert (userinfo["given_name"], userinfo["family_name"]) == ("Lea", "Muster")
    assert "ahv" not in userinfo


def test_the_level_chosen_at_login_is_the_level_returned(provider: httpx.Client) -> None:
    """A person may log in higher than asked for; class 400 alone reveals the AHV number."""
    tokens = _redeem(provider, _log_in(provider, AGOV_400)["code"]).json()
    identity = _claims(provider, tokens["id_token"])
    assert (identity["acr"], identity["ahv"]) == (AGOV_400, "756.9217.0769.85")


def test_wrong_verifier_is_refused_and_spends_the_code(provider: httpx.Client) -> None:
    """PKCE is enforced: a wrong verifier gets invalid_grant, and the code cannot be tried again."""
    code = _log_in(provider)["code"]
    wrong = _redeem(provider, code, "another-verifier-that-is-long-enough-0123456789")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    assert _redeem(provider, code).json()["error"] == "invalid_grant"


def test_code_works_once(provider: httpx.Client) -> None:
    """A code that has been redeemed is refused the second time."""
    code = _log_in(provider)["code"]
    assert _redeem(provider, code).status_code == 200
    assert _redeem(provider, code).status_code == 400


def test_login_page_lists_people_and_marks_the_requested_level(provider: httpx.Client) -> None:
    """The login page is in the language asked for, lists test people and preselects the requested level."""
    page = provider.get("/authorize", params=REQUEST | {"ui_locales": "fr"})
    assert page.status_code == 200
    assert '<html lang="fr">' in page.text
    assert "Lea Muster" in page.text
    assert f'value="{AGOV_300}" checked' in page.text
    assert "http" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_faulty_requests_are_sent_back_with_their_error(
    provider: httpx.Client, change: dict[str, str], error: str
) -> None:
    """A faulty request from a known client returns there with the OAuth error code."""
    answer = provider.get("/authorize", params=REQUEST | change)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


def test_foreign_redirect_addresses_are_never_followed(provider: httpx.Client) -> None:
    """A redirect address off this machine is answered with a page, not with a redirect."""
    answer = provider.get("/authorize", params=REQUEST | {"redirect_uri": "https://example.org/cb"})
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_cancelling_returns_access_denied(provider: httpx.Client) -> None:
    """Cancelling the login sends access_denied back to the client."""
    assert _log_in(provider, answer="cancel")["error"] == "access_denied"


def test_keys_survive_a_restart_and_a_rotation(tmp_path: Path) -> None:
    """A token signed before a restart and a key rotation still verifies afterwards."""
    port = free_port()
    settings = OidcSettings(data_dir=tmp_path, http_port=port)
    with serving(create_app(settings), port) as url:
        token = httpx.post(f"{url}/sandbox/token", json={"sub": "person-1"}).json()["access_token"]
    with serving(create_app(settings), port) as url, httpx.Client(base_url=url) as client:
        kid = client.post("/sandbox/keys/rotate").json()["kid"]
        assert _claims(client, token)["sub"] == "person-1"
        newer = client.post("/sandbox/token", json={"sub": "person-1"}).json()["access_token"]
        assert jwt.decode(newer, KeySet.import_key_set(client.get("/jwks").json()), ["ES256"]).header["kid"] == kid


def test_userinfo_refuses_a_token_that_is_not_its_own(provider: httpx.Client) -> None:
    """An expired token and a made-up one are both answered with 401 and a challenge."""
    order = {"sub": "person-1000000", "expires_in": -10}
    expired = provider.post("/sandbox/token", json=order).json()["access_token"]
    for token in (expired, "not.a.token"):
        answer = provider.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert "invalid_token" in answer.headers["www-authenticate"]


def test_faults_hit_the_provider_and_not_its_controls(provider: httpx.Client) -> None:
    """A requested error rate breaks the provider's routes; health, controls and withdrawal keep working."""
    assert provider.put("/sandbox/faults", json={"error_rate": 1.0, "status": 503}).status_code == 200
    assert provider.get("/jwks").status_code == 503
    assert provider.get("/health/ready").status_code == 200
    assert provider.put("/sandbox/faults", json={"error_rat": 1.0}).status_code == 422
    provider.delete("/sandbox/faults")
    assert provider.get("/jwks").status_code == 200


def test_a_lost_answer_leaves_the_client_in_doubt(provider: httpx.Client) -> None:
    """With lose_answers the connection breaks before the answer is complete."""
    provider.put("/sandbox/faults", json={"lose_answers": 1.0})
    with pytest.raises(httpx.RemoteProtocolError):
        provider.get("/jwks")
