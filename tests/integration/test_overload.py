"""A real role under more than it takes: quick refusals, bounded memory, nothing begun is lost, well again later."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.flooded import connected, told
from tests.integration.test_serve import Role, running

CONNECTIONS = 120
REQUESTS = 12
PER_CALLER = 3
BODY_SECONDS = 5.0
FLOOD = 60
GREEDY = 10
BODY = b'"' + b"x" * 900_000 + b'"'
GROWTH_KB = 64 * 1024
"""Twelve bodies under way, each as bytes, as text and as a value; all seventy would take four times as much."""
PATIENCE = 5.0
SETTLED_LOOKS = 10
TOKEN = {"Authorization": "Bearer one"}
JSON = {"Content-Type": "application/json"}
POST = "POST /take HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


@pytest.fixture(scope="module")
def role() -> Iterator[Role]:
    """A role with small limits and little patience."""
    limits = {
        "HTTP_CONNECTIONS": CONNECTIONS,
        "HTTP_REQUESTS": REQUESTS,
        "HTTP_REQUESTS_PER_CALLER": PER_CALLER,
        "HTTP_BODY_SECONDS": BODY_SECONDS,
    }
    prepared = "from tests.integration.flooded import prepare; prepare(app)"
    with running(start=prepared, LOG_LEVEL="ERROR", **{name: str(value) for name, value in limits.items()}) as started:
        started.wait_ready()
        yield started


def peak_kb(role: Role) -> int:
    """Return the highest resident memory of the process so far, in KB (proc_pid_status(5))."""
    status = Path(f"/proc/{role.process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def sockets(role: Role) -> int:
    """Return how many sockets the process holds."""
    links = Path(f"/proc/{role.process.pid}/fd").iterdir()
    return sum(link.is_socket() for link in links if link.exists())


def settled(role: Role) -> int:
    """Return how many sockets the process holds once those of earlier tests are closed."""
    counts = [sockets(role)]

    def rests() -> bool:
        counts.append(sockets(role))
        return len(counts) > SETTLED_LOOKS and len(set(counts[-SETTLED_LOOKS:])) == 1

    until(rests)
    return counts[-1]


def until(seen: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)


async def flood(role: Role) -> list[httpx.Response]:
    """Send large bodies at once, each on its own connection; some of them with one caller's token."""
    everybody = httpx.Limits(max_connections=None)
    greedy = {**JSON, **TOKEN}
    async with httpx.AsyncClient(base_url=role.base, timeout=30, limits=everybody) as http:
        asked = [http.post("/take", content=BODY, headers=greedy) for _ in range(GREEDY)]
        asked += [http.post("/take", content=BODY, headers=JSON) for _ in range(FLOOD)]
        return await asyncio.gather(*asked)


def test_a_flood_is_refused_quickly_and_fills_no_memory(role: Role) -> None:
    """Of 70 large requests at once a few are done, all that were begun; the others are told when to come back."""
    before = peak_kb(role)
    answers = asyncio.run(flood(role))
    grown = peak_kb(role) - before
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) == {200, 429, 503}
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code != 200} == {"2"}
    assert httpx.get(f"{role.base}/taken", timeout=5).json() == codes[200]
    assert codes[200] >= REQUESTS
    assert grown < GROWTH_KB
    assert httpx.post(f"{role.base}/take", content=BODY, headers=JSON, timeout=5).status_code == 200


def test_connections_that_say_nothing_keep_nobody_out_for_long(role: Role) -> None:
    """With every connection taken by the silent one more is told when to come back; probes pass; soon all is well."""
    until(lambda: sockets(role) < REQUESTS)
    with connected(role.base, CONNECTIONS) as silent:
        answer = httpx.get(f"{role.base}/taken", timeout=5)
        probe = httpx.get(f"{role.base}/health/live", timeout=5)
        until(lambda: httpx.get(f"{role.base}/taken", timeout=5).status_code == 200)
        assert told(silent[0]) == ""
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"].endswith("/unavailable")
    assert probe.status_code == 200


def test_a_body_sent_slowly_gives_its_place_back(role: Role) -> None:
    """While slow bodies hold every place others are refused; then the slow are told so, and the others let in."""
    with connected(role.base, REQUESTS) as slow:
        for one in slow:
            one.sendall(POST.format(100).encode() + b'"')
        until(lambda: httpx.get(f"{role.base}/taken", timeout=5).status_code == 503)
        dripping = threading.Event()
        dropper = threading.Thread(target=lambda: [one.send(b"x") for one in slow if not dripping.wait(0.01)])
        dropper.start()
        answers = [told(one) for one in slow]
        dripping.set()
        dropper.join()
        assert httpx.get(f"{role.base}/taken", timeout=5).status_code == 200
    for answer in answers:
        assert answer.startswith("HTTP/1.1 408 ")
        assert "/problems/request-timeout" in answer
        assert "connection: close" in answer.lower()


@pytest.mark.parametrize("earlier", ["", "GET /taken HTTP/1.1\r\nHost: test\r\n\r\n"], ids=["first", "second"])
def test_a_head_sent_slowly_is_given_up(role: Role, earlier: str) -> None:
    """The first head of a connection and every later one must be whole in time; who sends it is told so."""
    with connected(role.base) as (slow,):
        slow.sendall(f"{earlier}GET /taken HTTP/1.1\r\nHost: te".encode())
        answers = told(slow)
    assert answers.count("HTTP/1.1 200 ") == bool(earlier)
    assert answers.count("HTTP/1.1 408 ") == 1
    assert "/problems/request-timeout" in answers


def test_the_rest_of_a_refused_body_is_not_awaited_for_ever(role: Role) -> None:
    """Refused before it was read, with its body still to come: the answer, then the connection ends all the same."""
    greedy = POST.replace("Host: test", "Host: test\r\nAuthorization: Bearer one").format(100).encode() + b'"'
    with connected(role.base, PER_CALLER) as holding, connected(role.base) as (refused,):
        for one in holding:
            one.sendall(greedy)
        until(lambda: httpx.post(f"{role.base}/take", headers=TOKEN, timeout=5).status_code == 429)
        refused.sendall(greedy)
        answer = told(refused)
    assert answer.startswith("HTTP/1.1 429 ")


@pytest.mark.parametrize(
    ("head", "code", "slug"),
    [
        ("GET /taken HTTP/1.1\r\nX-Large: " + "x" * 100_000, 431, "head-too-large"),
        ("GET /" + "x" * 100_000, 431, "head-too-large"),
        ("HELO test\r\n\r\n", 400, "bad-request"),
        ("HELO test\r\n\r\n" + "x" * 20_000, 400, "bad-request"),
    ],
    ids=["header", "address", "another protocol", "much of another protocol"],
)
def test_what_is_no_head_is_refused_as_a_problem(role: Role, head: str, code: int, slug: str) -> None:
    """Refused once it is too large, however it would go on; so is what is no HTTP, however much lies behind it."""
    with connected(role.base) as (one,):
        one.sendall(head.encode())
        answer = told(one)
    assert answer.startswith(f"HTTP/1.1 {code} ")
    assert f"/problems/{slug}" in answer


def test_who_takes_nothing_of_an_answer_is_let_go(role: Role) -> None:
    """An answer that its reader leaves lying holds its memory and its connection for a while, not for ever."""
    held = settled(role)
    with connected(role.base, receive_bytes=4096) as (stalled,):
        stalled.sendall(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: sockets(role) == held + 1)
        until(lambda: sockets(role) == held)
