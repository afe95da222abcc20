// Speaks with the API as any portal would: bearer token, language, Idempotency-Key, problem details. Knows no view.

import { current } from "./words.js";
import { token, forget } from "./session.js";

const TRIES = 4;

export class Problem extends Error {
  constructor(status, body) {
    super(body.title ?? "");
    this.status = status;
    this.kind = String(body.type ?? "").split("/").pop();
    this.title = body.title ?? "";
    this.detail = body.detail ?? "";
    this.errors = body.errors ?? [];
    this.requiredAssurance = body.required_assurance;
  }
}

export function get(path) {
  return asJson(attempt(path, { headers: headers() }));
}

// The key stands for one intention: the same one is sent again after an unknown outcome, so nothing happens twice.
export function command(path, body, key = crypto.randomUUID()) {
  const init = { method: "POST", headers: { ...headers(), "Idempotency-Key": key } };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  return asJson(attempt(path, init));
}

export async function save(path, name) {
  const response = await attempt(path, { headers: headers() });
  const address = URL.createObjectURL(await response.blob());
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = name;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function asJson(answer) {
  return (await answer).json();
}

async function attempt(path, init) {
  for (let number = 1; ; number += 1) {
    const response = await fetch(path, init).catch(() => null);
    const again = response === null || response.status === 503;
    if (again && number < TRIES) {
      await new Promise((resume) => setTimeout(resume, 400 * 2 ** number));
      continue;
    }
    if (response === null) throw new Problem(0, {});
    if (response.ok) return response;
    if (response.status === 401) forget();
    throw new Problem(response.status, await response.json().catch(() => ({})));
  }
}

function headers() {
  const bearer = token();
  return { "Accept-Language": current(), ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}) };
}
