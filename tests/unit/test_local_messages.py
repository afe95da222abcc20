"""The sentences of the local stack: each says what happened and what to do."""

import pytest

from deploy.local.errors import LocalError
from deploy.local.install import failure_sentence
from deploy.local.mongo import major, mongod_version
from deploy.local.preflight import library_message, missing_libraries, port_message, require_disk, require_platform
from deploy.local.supervisor import BROKER_REPLACED, Crashes, next_crash, sentence

LDD = """
	linux-vdso.so.1 (0x00007ffd)
	libcurl.so.4 => not found
	libssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007f)
"""
OLD_GLIBC = "./mongod: /lib/libc.so.6: version `GLIBC_2.34' not found (required by ./mongod)"


def test_port_message_names_port_process_and_owner() -> None:
    """A taken port is named with what needs it, who has it, and the way out."""
    text = port_message("intake-api", 8100, "process 42 (nginx)")
    assert all(part in text for part in ("8100", "intake-api", "process 42 (nginx)", "--base-port"))
    assert "another program" in port_message("mongo", 8192, None)


def test_missing_library_names_the_package() -> None:
    """Slim images lack libcurl: the sentence says which package to install."""
    assert missing_libraries(LDD) == ["libcurl.so.4"]
    assert "apt-get install libcurl4" in library_message("mongod", ["libcurl.so.4"])


def test_old_glibc_is_no_matter_of_a_package() -> None:
    """Where glibc is too old no package helps, and the sentence names another way."""
    assert missing_libraries(OLD_GLIBC) == ["glibc >= 2.34"]
    assert "PATH" in library_message("mongod", ["glibc >= 2.34"])


def test_present_libraries_are_not_reported() -> None:
    """A complete system gives no complaint."""
    assert missing_libraries("libc.so.6 => /lib/libc.so.6 (0x1)\n") == []


def test_full_disk(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Too little space says how much is free, how much is needed and what to do."""
    with pytest.raises(LocalError, match=r"GB are free .* free some space"):
        require_disk(tmp_path_factory.getbasetemp(), least=10**18)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_platforms_are_refused(system: str) -> None:
    """On a system without /proc the sentence points to the containers."""
    with pytest.raises(LocalError, match=r"docker-compose\.yml"):
        require_platform(system)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("error: Failed to fetch: dns error: failed to lookup address", "network"),
        ("ERROR: Could not find a version that satisfies uv (from versions: none)", "network"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("error: something else", "install.log"),
    ],
)
def test_installation_failure(log: str, expected: str) -> None:
    """The cause of a failed installation is read from its log: network, disk, or the log itself is shown."""
    assert expected in failure_sentence(log)


@pytest.mark.parametrize(("text", "version"), [("db version v6.0.5\nBuild Info", "6.0.5"), ("not found", None)])
def test_mongod_version(text: str, version: str | None) -> None:
    """The version is taken from the first line of `mongod --version`."""
    assert mongod_version(text) == version
    assert major("10.0.1") == 10


def test_replaced_broker_restarts_at_once() -> None:
    """Exit code 75 is a wish, not a crash: no pause, nothing counted."""
    before = Crashes(3, 10.0)
    assert next_crash(before, BROKER_REPLACED, 11.0) == (before, 0.0)
    assert "at once" in sentence("intake-worker", BROKER_REPLACED, 0.0)


def test_crashes_in_a_row_wait_longer_up_to_a_limit() -> None:
    """Each crash soon after the last doubles the pause, to at most 30 seconds."""
    crashes, pauses = Crashes(), []
    for moment in range(100, 110):
        crashes, pause = next_crash(crashes, 1, float(moment))
        pauses.append(pause)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]


def test_a_calm_minute_forgives() -> None:
    """After 60 calm seconds the pause is short again."""
    assert next_crash(Crashes(9, 100.0), 1, 161.0) == (Crashes(1, 161.0), 0.5)


def test_sentence_tells_signal_from_exit_code() -> None:
    """A killed process and a failed one read differently, and both point to the log."""
    assert "signal 9" in sentence("intake-api", -9, 0.5)
    assert "exit code 1" in sentence("intake-api", 1, 0.5)
    assert "./dev logs intake-api" in sentence("intake-api", 1, 0.5)
