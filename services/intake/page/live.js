// Follows a dossier live. Each connection takes a new one-time ticket and says what was seen last, so nothing is missed.

import { command, Problem } from "./api.js";

const LONGEST_WAIT = 15_000;

export function follow(dossier, after, { onEntry, onView, onState }) {
  const line = { dossier, last: after, onEntry, onView, onState, failures: 0, source: null, timer: 0, number: 0, over: false };
  const renew = () => document.visibilityState === "visible" && connect(line);
  window.addEventListener("online", renew);
  document.addEventListener("visibilitychange", renew);
  connect(line);
  return () => {
    line.over = true;
    hangUp(line);
    window.removeEventListener("online", renew);
    document.removeEventListener("visibilitychange", renew);
  };
}

async function connect(line) {
  hangUp(line);
  const number = line.number;
  try {
    const { url } = await command(`/v1/dossiers/${line.dossier}/tickets`);
    if (number === line.number && !line.over) listen(line, new EventSource(`${url}&last_event_id=${line.last}`));
  } catch (problem) {
    if (number !== line.number || line.over) return;
    const forGood = problem instanceof Problem && [401, 403, 404].includes(problem.status);
    line.onState(forGood ? "ended" : "waiting");
    if (!forGood) again(line);
  }
}

function listen(line, source) {
  line.source = source;
  source.onopen = () => {
    line.failures = 0;
    line.onState("live");
  };
  source.addEventListener("timeline", (event) => line.onEntry(JSON.parse(event.data)));
  source.addEventListener("status", (event) => {
    // Only a status moves the mark: a cut between an event and its status must bring that status again.
    line.last = Number(event.lastEventId);
    line.onView(JSON.parse(event.data));
  });
  source.onerror = () => {
    if (line.over) return;
    line.onState("waiting");
    again(line);
  };
}

function again(line) {
  hangUp(line);
  const wait = Math.min(LONGEST_WAIT, 500 * 2 ** line.failures) * (0.75 + Math.random() / 2);
  line.failures += 1;
  line.timer = setTimeout(() => connect(line), wait);
}

function hangUp(line) {
  line.number += 1;
  clearTimeout(line.timer);
  line.source?.close();
  line.source = null;
}
