"""One operating-system process of the local stack: start, wait until it is well, stop, and find again after an abort.

Owns pid files and log files. Never ends a process that it cannot prove to be its own (boot, pid, kernel start time).
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deploy.local.errors import LocalError

_LOG_LIMIT_BYTES = 20 * 1024 * 1024
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Launch:
    """How a process is started and how it is known to be ready. `ready` may raise OSError: that counts as not yet."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    ready: Callable[[], bool]
    deadline_seconds: float = 60.0
    stop_seconds: float = 40.0


@dataclass
class ManagedProcess:
    """A process started from a `Launch`, in its own session so that Ctrl-C in the terminal reaches only `./dev`."""

    launch: Launch
    state_directory: Path
    wanted: bool = field(default=False, init=False)
    """Whether it should run: between `start` and `stop` a process that ends has ended by itself."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log_file(self) -> Path:
        """Where standard output and error of the process go, appended over restarts."""
        return self.state_directory / "log" / f"{self.launch.name}.log"

    @property
    def pid_file(self) -> Path:
        """Where the process is written down for a later `down` or `up`."""
        return self.state_directory / "run" / f"{self.launch.name}.json"

    @property
    def pid(self) -> int | None:
        """The process id while the process runs, else None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run (negative: ended by that signal), None while running or never started."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the process and write its pid file. Raises LocalError when the program cannot be executed."""
        for directory in (self.log_file.parent, self.pid_file.parent):
            directory.mkdir(parents=True, exist_ok=True)
        _rotate(self.log_file)
        with self.log_file.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    list(self.launch.command),
                    env=dict(self.launch.environment),
                    cwd=self.launch.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise LocalError(f"{self.launch.name} could not be started: {error}.") from error
        _write_pid_file(self.pid_file, self._process.pid)
        self.wanted = True

    def wait_ready(self) -> None:
        """Return once the process says it is ready. Raises LocalError with the end of its log when it does not."""
        end = time.monotonic() + self.launch.deadline_seconds
        while time.monotonic() < end:
            if self.exit_code is not None:
                raise LocalError(self._failure(f"ended with exit code {self.exit_code} before it was ready"))
            if _is_ready(self.launch.ready):
                return
            time.sleep(_POLL_SECONDS)
        raise LocalError(self._failure(f"was not ready within {self.launch.deadline_seconds:.0f} seconds"))

    @contextmanager
    def started(self) -> Iterator[Self]:
        """Run it inside a `with` block, from when it is ready; stopped whatever happens. Raises LocalError."""
        self.start()
        try:
            self.wait_ready()
            yield self
        finally:
            self.stop()

    def send(self, number: int) -> None:
        """Send a signal to the whole process group; a process that is gone already is left in peace."""
        if (pid := self.pid) is not None:
            _signal_group(pid, number)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send `number` and, for SIGKILL, wait until the process is gone."""
        self.send(number)
        if number == signal.SIGKILL and self._process:
            self._process.wait(timeout=30)

    def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL after `stop_seconds`; remove the pid file."""
        self.wanted = False
        if self._process and self._process.poll() is None:
            _signal_group(self._process.pid, signal.SIGCONT)
            _signal_group(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(timeout=self.launch.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self.pid_file.unlink(missing_ok=True)

    def _failure(self, what: str) -> str:
        return f"{self.launch.name} {what}; the end of {self.log_file}:\n{log_tail(self.log_file)}"


def wait_until(condition: Callable[[], bool], seconds: float, failure: str) -> None:
    """Return once `condition` holds. Raises LocalError with `failure` when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not _is_ready(condition):
        if time.monotonic() > end:
            raise LocalError(f"{failure} within {seconds:.0f} seconds.")
        time.sleep(_POLL_SECONDS)


def log_tail(path: Path, lines: int = 15) -> str:
    """The last `lines` lines of a log, indented; says so when there is none."""
    if not path.exists() or path.stat().st_size == 0:
        return "    (the log is empty)"
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 16_384))
        text = log.read().decode("utf-8", "replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def reap(state_directory: Path) -> list[str]:
    """End what an aborted run left behind, by its pid files; return the names of the processes that still ran.

    Roles end before the database and the broker they use. A pid that now belongs to another program is left alone.
    """
    files = sorted((state_directory / "run").glob("*.json"), key=lambda file: file.stem.startswith(("mongo", "broker")))
    return [file.stem for file in files if _reap_one(file)]


def running(state_directory: Path) -> dict[str, int]:
    """Name and pid of every process of this stack that runs now, whoever started it."""
    files = (state_directory / "run").glob("*.json")
    return {file.stem: pid for file in files if (pid := _owned_pid(file)) is not None}


def _reap_one(pid_file: Path) -> bool:
    pid = _owned_pid(pid_file)
    if pid is not None:
        _signal_group(pid, signal.SIGCONT)
        _signal_group(pid, signal.SIGTERM)
        if not _gone(pid_file, 15):
            _signal_group(pid, signal.SIGKILL)
            _gone(pid_file, 15)
    pid_file.unlink(missing_ok=True)
    return pid is not None


def _gone(pid_file: Path, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if _owned_pid(pid_file) is None:
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _write_pid_file(path: Path, pid: int) -> None:
    path.write_text(json.dumps({"pid": pid, "start": _start_time(pid)}))


def _owned_pid(pid_file: Path) -> int | None:
    """The pid written down, when that very process still runs: same pid and same kernel start time."""
    try:
        record = json.loads(pid_file.read_text())
        pid, start = int(record["pid"]), record["start"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if start is not None and _start_time(pid) == start else None


def _start_time(pid: int) -> str | None:
    """Boot id and start tick of a running process (proc_pid_stat(5), field 22); None when gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else f"{boot}:{fields[19]}"


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _is_ready(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:
        return False


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
