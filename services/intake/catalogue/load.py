"""Reading the catalogue. A file that is not right stops the start with its name and what was expected."""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from services.intake.catalogue.model import MunicipalService

HERE = Path(__file__).parent


class CatalogueError(ValueError):
    """A municipal service's file cannot be used; the text names the file and what was expected."""


def load_catalogue(own: Path | None = None) -> Mapping[tuple[str, int], MunicipalService]:
    """Return every version of every municipal service by (id, version), with the town's own. `CatalogueError`."""
    found: dict[tuple[str, int], MunicipalService] = {}
    folders = [HERE] if own is None else [HERE, own]
    for path in [path for folder in folders for path in sorted(folder.glob("*.yaml"))]:
        service = _read(path)
        if (service.id, service.version) in found:
            raise CatalogueError(f"{path.name}: {service.id} version {service.version} stands in another file")
        found[service.id, service.version] = service
    return found


def newest(catalogue: Mapping[tuple[str, int], MunicipalService]) -> dict[str, MunicipalService]:
    """Return the newest version of each municipal service by id: the one that new dossiers are opened with."""
    return {service.id: service for _, service in sorted(catalogue.items())}


def _read(path: Path) -> MunicipalService:
    try:
        service = MunicipalService.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        service.compile()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        text = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
        raise CatalogueError(f"{path.name}: {text}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise CatalogueError(f"{path.name}: {error}") from error
    return service
