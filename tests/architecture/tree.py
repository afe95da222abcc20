"""Reading the project's own source: which files there are, what they import, how long they are."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("intake", "identity", "payments", "notifications", "analytics")


@dataclass(frozen=True)
class Module:
    """A Python file: its path below the project's root, text and syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def service(self) -> str | None:
        """The service it belongs to, if any."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "services" and len(parts) > 2 else None


@cache
def tracked() -> tuple[str, ...]:
    """Return every file that git tracks."""
    command = [shutil.which("git") or "git", "ls-files", "--cached"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return tuple(sorted({path for path in listed if path and (ROOT / path).is_file()}))


@cache
def modules() -> tuple[Module, ...]:
    """Return every Python module, and `dev`."""
    paths = [path for path in tracked() if path.endswith(".py") or path == "dev"]
    return tuple(Module(path, text, ast.parse(text)) for path in paths if (text := _text(path)) is not None)


def product() -> tuple[Module, ...]:
    """Return the modules that are not tests."""
    return tuple(module for module in modules() if not module.path.startswith("tests/"))


def texts() -> Iterator[tuple[str, str]]:
    """Yield path and text of every tracked file that is text."""
    for path in tracked():
        text = _text(path)
        if text is not None:
            yield path, text


@cache
def _text(path: str) -> str | None:
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return None


def imports(module: Module) -> set[str]:
    """Return the dotted names that a module imports, also inside functions; `from a import b` gives `a` and `a.b`."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages(module: Module) -> set[str]:
    """Return the top-level packages that a module imports."""
    return {name.partition(".")[0] for name in imports(module)}


def non_blank(text: str) -> int:
    """Return how many lines are not blank."""
    return sum(1 for line in text.splitlines() if line.strip())


def functions(module: Module) -> Iterator[tuple[str, int, int]]:
    """Yield qualified name, non-blank lines, and nesting of each function; nested functions count for themselves."""
    yield from _functions(module, module.tree, "")


def _functions(module: Module, node: ast.AST, prefix: str) -> Iterator[tuple[str, int, int]]:
    for child in ast.iter_child_nodes(node):
        name = f"{prefix}{getattr(child, 'name', '')}"
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = module.text.splitlines()[child.lineno - 1 : child.end_lineno]
            yield name, non_blank("\n".join(lines)), _nesting(child)
            yield from _functions(module, child, f"{name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(module, child, f"{name}.")
        else:
            yield from _functions(module, child, prefix)


_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def _nesting(node: ast.AST) -> int:
    """Return how deep blocks lie in each other inside a function; `elif` counts as its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, _nesting(child) + (isinstance(child, _BLOCKS) and not chained))
    return deepest


def section(text: str, heading: str) -> str | None:
    """Return a Markdown section's text, from its heading to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}\s*$", text, re.MULTILINE)
    if found is None:
        return None
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest
