"""What must be true of the machine before anything starts, each failure said in one sentence. Changes nothing."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import LocalError

LEAST_FREE_BYTES = 1_000_000_000
_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}


def require_platform(system: str = sys.platform) -> None:
    """Raise LocalError unless this is Linux: the stack finds its processes again through /proc."""
    if not system.startswith("linux"):
        raise LocalError(f"The local stack runs on Linux only, not on {system}: use docker-compose.yml here.")


def require_disk(directory: Path, least: int = LEAST_FREE_BYTES) -> None:
    """Raise LocalError when the disk under `directory` has less than `least` bytes free."""
    free = shutil.disk_usage(directory).free
    if free < least:
        raise LocalError(
            f"Only {free / 1e9:.1f} GB are free under {directory}, at least {least / 1e9:.0f} GB are needed: "
            "free some space (`./dev reset` removes the data of the local stack)."
        )


def require_free_ports(ports: Mapping[str, int], host: str = "127.0.0.1") -> None:
    """Raise LocalError naming the first port that is taken, by whom where that can be read, and what to do."""
    for name, port in ports.items():
        if not _is_free(host, port):
            raise LocalError(port_message(name, port, owner_of(port)))


def port_message(name: str, port: int, owner: str | None) -> str:
    """The sentence about a taken port."""
    by_whom = f" by {owner}" if owner else " by another program"
    return (
        f"Port {port}, needed for {name}, is in use{by_whom}: end that program, "
        "or start on other ports with `./dev up --base-port 18100`."
    )


def owner_of(port: int) -> str | None:
    """Process id and command of the listener on a TCP port, None where the system does not tell."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                return f"process {process.name} ({command[:80]})"
        except OSError:
            continue
    return None


def require_libraries(program: Path) -> None:
    """Raise LocalError naming the shared libraries `program` lacks and the Debian packages that bring them."""
    result = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    missing = missing_libraries(result.stdout + result.stderr)
    if missing:
        raise LocalError(library_message(program.name, missing))


def missing_libraries(ldd_output: str) -> list[str]:
    """The libraries `ldd` did not find, also where only a symbol version is missing (an older glibc)."""
    found = [line.split()[0] for line in ldd_output.splitlines() if "=> not found" in line]
    if "GLIBC_" in ldd_output and "not found (required by" in ldd_output:
        found.append("glibc >= 2.34")
    return found


def library_message(program: str, missing: list[str]) -> str:
    """The sentence about missing system libraries."""
    packages = sorted({_PACKAGES.get(name, "") for name in missing} - {""})
    names = ", ".join(missing)
    if not packages:
        return f"{program} needs {names}, which this system lacks: put a mongod >= 6 for this system on PATH instead."
    return f"{program} needs {names}, which this system lacks: run `apt-get install {' '.join(packages)}`."


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _listening_inodes(port: int) -> set[str]:
    """`socket:[inode]` of every listener on `port` (proc_net(5): column 1 local address, 3 state 0A, 9 inode)."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for columns in (line.split() for line in lines):
            if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    return inodes
