"""The registry of winners: which checkpoint bears the alias `champion`, and fetching it safely."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from opabinia.tracking.connection import call
from opabinia.tracking.digest import folder_digest
from opabinia.tracking.tracked_run import DIGEST_TAG

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.tracking import MlflowClient

ALIAS = "champion"
PREVIOUS_ALIAS = "previous-champion"

SCORE_TAG = "opabinia.score"
ARTIFACT_TAG = "opabinia.artifact_path"

SAFE_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".md", ".yaml", ".yml"})
"""Files that hold data only. Pickles (.pkl, .bin, .pt, …) and source files could run code where they are loaded."""

_NAME_DIGITS = 16

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Champion:
    """A registered version. `score` is the mean of the families with the image, percent, NaN where it was not told."""

    model_name: str
    version: str
    run_id: str
    artifact_path: str
    score: float
    digest: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Registration:
    """The new champion, and the version that it took the alias from, if any."""

    champion: Champion
    previous: Champion | None

    @property
    def lowered(self) -> bool:
        """Whether the previous champion scored higher: true also of a harder benchmark, so it is told, not refused."""
        return self.previous is not None and self.champion.score < self.previous.score


def register_champion(
    tracking_uri: str,
    model_name: str,
    run_id: str,
    artifact_path: str = "checkpoint",
    *,
    score: float,
    tags: Mapping[str, str] | None = None,
) -> Registration:
    """Register a run's checkpoint folder and give it the alias; the version it replaces becomes `previous-champion`.

    Registering the same run again reuses its version. Raises ValueError when the run has no such folder.
    """
    every = {**(tags or {}), SCORE_TAG: f"{score:.4f}", ARTIFACT_TAG: artifact_path}
    registration = call(tracking_uri, lambda client: _register(client, model_name, run_id, artifact_path, every))
    previous, new = registration.previous, registration.champion
    if previous is not None and registration.lowered:
        _logger.warning(
            "%s: champion moves from version %s (%.1f) to version %s, which scored lower (%.1f)",
            model_name, previous.version, previous.score, new.version, new.score,
        )  # fmt: skip
    return registration


def find_champion(tracking_uri: str, model_name: str) -> Champion:
    """The version that bears the alias. Raises ValueError where there is none or the server stays away."""
    found = call(tracking_uri, lambda client: _aliased(client, model_name, ALIAS))
    if found is None:
        raise ValueError(f"tracking.model_name: {model_name!r} has no champion at {tracking_uri}; run `make sweep`")
    return found


def list_champions(tracking_uri: str) -> list[Champion]:
    """The champion of every registered model that has one, by name."""
    return call(tracking_uri, _list_champions)


def fetch_champion(tracking_uri: str, model_name: str, folder: Path) -> Path:
    """Download the champion's checkpoint to <folder>/<first 16 digits of its digest> and return that folder.

    What is there already is not downloaded again. Raises ValueError where there is no champion, where its folder holds
    a file that could run code, and where the download differs from what was registered.
    """
    champion = find_champion(tracking_uri, model_name)
    if champion.digest and (known := folder / champion.digest[:_NAME_DIGITS]).is_dir():
        return _unchanged(known, champion.digest)
    _refuse_unsafe(
        call(tracking_uri, lambda client: _files_under(client, champion.run_id, champion.artifact_path)), champion
    )
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
        call(tracking_uri, lambda client: client.download_artifacts(champion.run_id, champion.artifact_path, scratch))
        # The folder may have changed since it was listed.
        downloaded = [path for path in Path(scratch).rglob("*") if not path.is_dir()]
        _refuse_unsafe([path.relative_to(scratch).as_posix() for path in downloaded], champion)
        return _keep(Path(scratch) / champion.artifact_path, folder, champion)


def _register(
    client: MlflowClient, model_name: str, run_id: str, artifact_path: str, tags: Mapping[str, str]
) -> Registration:
    if not _files_under(client, run_id, artifact_path):
        raise ValueError(f"champion: run {run_id} holds no folder {artifact_path!r}; log the checkpoint first")
    digest = client.get_run(run_id).data.tags.get(f"{DIGEST_TAG}.{artifact_path}")
    tags = {**tags, DIGEST_TAG: digest} if digest else tags
    previous = _aliased(client, model_name, ALIAS)
    version = _version_of_run(client, model_name, run_id, artifact_path)
    for name, value in tags.items():
        client.set_model_version_tag(model_name, version, name, value)
    if previous is not None and previous.version != version:
        client.set_registered_model_alias(model_name, PREVIOUS_ALIAS, previous.version)
    client.set_registered_model_alias(model_name, ALIAS, version)
    champion = _champion(client.get_model_version(model_name, version))
    return Registration(champion, previous if previous and previous.version != version else None)


def _version_of_run(client: MlflowClient, model_name: str, run_id: str, artifact_path: str) -> str:
    """The version that this checkpoint has already, or a new one."""
    source = f"runs:/{run_id}/{artifact_path}"
    if not client.search_registered_models(f"name = '{model_name}'"):
        client.create_registered_model(model_name)
    for version in client.search_model_versions(f"name = '{model_name}' and run_id = '{run_id}'"):
        if version.source == source:
            return str(version.version)
    # 0 seconds: these registries are ready at once, and waiting prints a line that suggests otherwise.
    return str(client.create_model_version(model_name, source, run_id, await_creation_for=0).version)


def _aliased(client: MlflowClient, model_name: str, alias: str) -> Champion | None:
    for model in client.search_registered_models(f"name = '{model_name}'"):
        if version := _alias_of(model, alias):
            return _champion(client.get_model_version(model_name, version))
    return None


def _alias_of(model: RegisteredModel, alias: str) -> str | None:
    """The version that bears an alias."""
    aliases = cast("Mapping[str, str]", model.aliases)
    return aliases.get(alias)


def _list_champions(client: MlflowClient) -> list[Champion]:
    champions: list[Champion] = []
    token: str | None = None
    while True:
        page: Any = client.search_registered_models(page_token=token)
        for model in page:
            if version := _alias_of(model, ALIAS):
                champions.append(_champion(client.get_model_version(str(model.name), version)))
        token = page.token
        if not token:
            return sorted(champions, key=lambda champion: champion.model_name)


def _champion(version: ModelVersion) -> Champion:
    tags: Mapping[str, str] = version.tags
    return Champion(
        model_name=version.name,
        version=str(version.version),
        run_id=str(version.run_id),
        artifact_path=tags.get(ARTIFACT_TAG, "checkpoint"),
        score=float(tags.get(SCORE_TAG, "nan")),
        digest=tags.get(DIGEST_TAG),
        tags=tags,
    )


def _refuse_unsafe(files: Sequence[str], champion: Champion) -> None:
    """Raises ValueError at the first file, given by its path in the run, that must not be loaded."""
    for file in files:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or not path.is_relative_to(champion.artifact_path):
            raise ValueError(f"champion: the checkpoint holds {file!r}, outside its own folder; register another run")
        if path.suffix.lower() not in SAFE_SUFFIXES:
            known = ", ".join(sorted(SAFE_SUFFIXES))
            raise ValueError(f"champion: {file!r} could run code when loaded and is refused; only {known} are fetched")
    if not files:
        raise ValueError(f"champion: run {champion.run_id} has lost {champion.artifact_path!r}; run `make sweep`")


def _files_under(client: MlflowClient, run_id: str, path: str) -> list[str]:
    files: list[str] = []
    for entry in client.list_artifacts(run_id, path):
        files += _files_under(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return files


def _keep(downloaded: Path, folder: Path, champion: Champion) -> Path:
    digest = folder_digest(downloaded)
    if champion.digest and digest != champion.digest:
        raise ValueError(
            f"champion: version {champion.version} of {champion.model_name!r} is not what was registered "
            f"({digest[:_NAME_DIGITS]}, not {champion.digest[:_NAME_DIGITS]}); register its run again"
        )
    kept = folder / digest[:_NAME_DIGITS]
    if not kept.exists():
        downloaded.rename(kept)
    return kept


def _unchanged(folder: Path, digest: str) -> Path:
    if folder_digest(folder) != digest:
        raise ValueError(f"champion: {folder} was changed after it was downloaded; remove it to fetch it again")
    return folder
