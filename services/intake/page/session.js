// Signing in: authorization code with PKCE (RFC 7636), state and nonce. The token lives in this tab only.

import { current } from "./words.js";

const KEY = "dossierbus.session";
const PENDING = "dossierbus.sign-in";
const AGOV = "urn:qa.agov.ch:names:tc:ac:classes:";

export function token() {
  return stored()?.token ?? null;
}

export function claims() {
  return stored()?.claims ?? {};
}

// The assurance level of this sign-in, or null where the issuer's classes are not AGOV's and only the API can tell.
export function level() {
  const acr = String(claims().acr ?? "");
  return acr.startsWith(AGOV) ? Math.min(4, Math.floor(Number(acr.slice(AGOV.length)) / 100)) : null;
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

export function signOut() {
  sessionStorage.clear();
}

export async function signIn(assurance = 1) {
  const answer = await fetch("/page/sign-in.json");
  if (!answer.ok) throw new Error("issuer");
  const { authorization_endpoint: endpoint, client_id: client } = await answer.json();
  const pending = { state: random(), nonce: random(), verifier: random(), back: location.pathname + location.search };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const wish = {
    response_type: "code",
    client_id: client,
    redirect_uri: redirect(),
    scope: "openid profile email citizen",
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await challenge(pending.verifier),
    code_challenge_method: "S256",
    acr_values: `${AGOV}${Math.max(1, assurance)}00`,
    ui_locales: current(),
  };
  location.assign(`${endpoint}?${new URLSearchParams(wish)}`);
}

// Returns false when the address is no answer of the issuer, "refused" or "done" else. The code leaves the address bar.
export async function finish() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("state") || !(answer.has("code") || answer.has("error"))) return false;
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  history.replaceState(null, "", pending?.back ?? "/");
  if (!pending || pending.state !== answer.get("state") || !answer.has("code")) return "refused";
  const body = { code: answer.get("code"), code_verifier: pending.verifier, redirect_uri: redirect() };
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch("/page/token", init).catch(() => null);
  return response?.ok && keep(await response.json(), pending.nonce) ? "done" : "refused";
}

function keep(tokens, nonce) {
  const found = payload(tokens.id_token);
  if (found.nonce !== nonce) return false;
  sessionStorage.setItem(KEY, JSON.stringify({ token: tokens.access_token, claims: found, until: found.exp * 1000 }));
  return true;
}

function stored() {
  const found = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  return found && found.until > Date.now() ? found : null;
}

function payload(jwt) {
  const text = atob(jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (sign) => sign.charCodeAt(0))));
}

function redirect() {
  return `${location.origin}/`;
}

function random() {
  return encoded(crypto.getRandomValues(new Uint8Array(32)));
}

async function challenge(verifier) {
  return encoded(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function encoded(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
