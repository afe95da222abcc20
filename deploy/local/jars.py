"""The jars of Apache Kafka: listed with their SHA-256 in `kafka-jars.txt`, fetched once into the user's cache.

Plain HTTPS to Maven Central first; where that is closed, `mvn`, which honours the mirror in the user's settings.xml.
Whatever way a jar came, its hash is checked before each use.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.cache import cache_directory
from deploy.local.errors import LocalError

LIST = Path(__file__).with_name("kafka-jars.txt")
_CENTRAL = "https://repo1.maven.org/maven2"
_LINE = re.compile(r"(?P<group>[\w.-]+):(?P<artifact>[\w.-]+):(?P<version>[\w.-]+) (?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True)
class Jar:
    """One artifact of a Maven repository and the SHA-256 (hex) its jar must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> str:
        """The path in the standard repository layout."""
        folder = self.group.replace(".", "/")
        return f"{folder}/{self.artifact}/{self.version}/{self.artifact}-{self.version}.jar"


def parse_list(text: str) -> list[Jar]:
    """The jars of a list (one a line; empty lines and `#` are skipped). Raises ValueError naming a malformed line."""
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise ValueError(f"{LIST.name}, line {number}: expected group:artifact:version sha256.")
        jars.append(Jar(**match.groupdict()))
    return jars


def kafka_version(jars: Sequence[Jar]) -> str:
    """The version of the broker in the list. Raises StopIteration when the list has none."""
    return next(jar.version for jar in jars if jar.artifact.startswith("kafka_2."))


def fetch(jars: Sequence[Jar]) -> list[Path]:
    """Paths of all jars in the cache, downloaded where missing. Raises LocalError with the reason."""
    store = cache_directory() / "maven"
    missing = [jar for jar in jars if not _is_intact(store / jar.path, jar)]
    if missing:
        try:
            _download(missing, store)
        except OSError as error:
            _copy_with_maven(missing, store, str(getattr(error, "reason", error)))
    return [store / jar.path for jar in jars]


def _download(jars: Sequence[Jar], store: Path) -> None:
    _download_one(jars[0], store)
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda jar: _download_one(jar, store), jars[1:]))


def _download_one(jar: Jar, store: Path) -> None:
    base = os.environ.get("DOSSIERBUS_MAVEN_URL", _CENTRAL).rstrip("/")
    if not base.startswith("https://"):
        raise LocalError("DOSSIERBUS_MAVEN_URL must start with https://")
    with urllib.request.urlopen(f"{base}/{jar.path}", timeout=20) as answer:  # noqa: S310 - https, checked above
        _keep(answer.read(), jar, store)


def _copy_with_maven(jars: Sequence[Jar], store: Path, reason: str) -> None:
    program = shutil.which("mvn")
    if not program:
        raise LocalError(f"Maven Central cannot be reached ({reason}) and there is no mvn on PATH")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pom.xml").write_text(pom(jars))
        command = [program, "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
        result = subprocess.run(
            [*command, "-Dmdep.useRepositoryLayout=true"], cwd=folder, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise LocalError(f"Maven Central cannot be reached ({reason}), nor through mvn")
        for jar in jars:
            _keep(Path(folder, "jars", jar.path).read_bytes(), jar, store)


def pom(jars: Sequence[Jar]) -> str:
    """A pom that names exactly these jars and forbids everything they would pull in."""
    exclusion = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
    dependencies = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId>"
        f"<version>{jar.version}</version>{exclusion}</dependency>"
        for jar in jars
    )
    head = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    identity = "<groupId>org.dossierbus</groupId><artifactId>local-broker</artifactId><version>1</version>"
    return f"{head}{identity}<dependencies>{dependencies}</dependencies></project>"


def _keep(content: bytes, jar: Jar, store: Path) -> None:
    if hashlib.sha256(content).hexdigest() != jar.sha256:
        raise LocalError(f"{jar.artifact}-{jar.version}.jar is not the file this checkout expects (SHA-256 differs)")
    target = store / jar.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as draft:
        draft.write(content)
    Path(draft.name).replace(target)


def _is_intact(path: Path, jar: Jar) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
