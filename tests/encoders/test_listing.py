"""The printed catalogue, the weights that are here, and the encoders of installed packages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from opabinia.__main__ import main
from opabinia.encoders import plugins
from opabinia.encoders.catalogue import CATALOGUE, all_encoders, burgess, cambrian, eagle, find_encoder, modern
from opabinia.encoders.digest import weights_digest
from opabinia.encoders.weight_cache import hub_file, weights_are_here
from tests.encoders.small_entries import VIT

THEIRS = replace(VIT, id="theirs/vit")
SEVERAL = [replace(VIT, id="theirs/a"), replace(VIT, id="theirs/b", family="generative")]
TAKEN = replace(VIT, id="burgess/mim-vit")
NEITHER = "theirs/vit"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Pretends that packages give these names of this module as entry points."""

    def given(*names: str) -> None:
        points = [EntryPoint(name, f"{__name__}:{name}", plugins.GROUP) for name in names]
        monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == "opabinia.encoders" else [])

    plugins.installed_entries.cache_clear()
    yield given
    plugins.installed_entries.cache_clear()


def test_a_package_adds_an_entry_or_a_list(install) -> None:
    install("THEIRS", "SEVERAL")
    assert find_encoder("theirs/vit") is THEIRS
    assert [*all_encoders()] == [*CATALOGUE, "theirs/vit", "theirs/a", "theirs/b"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("NEITHER",), r"entry point NEITHER = .*:NEITHER: not an EncoderEntry or a list of them"),
        (("THEIRS", "THEIRS"), "encoder theirs/vit: given twice by installed packages"),
        (("TAKEN",), "encoder burgess/mim-vit: an installed package gives an id that the catalogue has"),
    ],
)
def test_what_a_package_gives_wrongly_is_refused(install, names: tuple[str, ...], message: str) -> None:
    install(*names)
    with pytest.raises(ValueError, match=message):
        all_encoders()


def test_every_id_is_given_once() -> None:
    files = (burgess, cambrian, eagle, modern)
    assert len(CATALOGUE) == sum(len(file.ENTRIES) for file in files)


def test_the_verb_prints_every_encoder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "id", "supervision", "architecture", "pixels", "grid", "width", "parameters", "licence", "weights", "here",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == [*CATALOGUE]
    assert {row.split()[-1] for row in rows if row.startswith("burgess/")} == {"yes"}


def test_the_verb_filters_by_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "--family", "class-supervised"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["cambrian/supvit-l-224", "cambrian/supvit-h-224"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--family", "clas-supervised"],
            "--family: unknown family 'clas-supervised'; did you mean 'class-supervised'",
        ),
        (["--family"], "'--family': unexpected; encoders takes --family NAME"),
        (["clip"], "'clip': unexpected; encoders takes --family NAME"),
    ],
)
def test_other_options_are_refused(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["encoders", *options])
    assert message in capsys.readouterr().err


def test_weights_in_the_hub_s_cache_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = CATALOGUE["cambrian/dinov2-l-336"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--facebook--dinov2-large" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()
    assert not weights_are_here(entry)
    (snapshot / "model.safetensors").touch()
    assert weights_are_here(entry)


def _cached(folder: Path, repository: str, path: str) -> Path:
    file = folder / f"models--{repository.replace('/', '--')}" / "snapshots" / "abc" / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    return file


def test_one_file_of_a_repository_and_the_parts_of_a_pipeline_are_found_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    file, pipeline = CATALOGUE["eagle/eva02-det-1024"], CATALOGUE["cambrian/sd21-512"]
    _cached(tmp_path, "Yuxin-CV/EVA-02", "eva02/det/another.pth")
    assert not weights_are_here(file)
    _cached(tmp_path, "stabilityai/stable-diffusion-2-1", "unet/diffusion_pytorch_model.safetensors")
    assert weights_are_here(pipeline)


def test_a_file_of_a_repository_is_taken_from_the_cache_or_from_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = CATALOGUE["eagle/eva02-det-1024"].weights
    cached = _cached(tmp_path / "hub", "Yuxin-CV/EVA-02", weights.removeprefix("Yuxin-CV/EVA-02/"))
    (tmp_path / "hub/models--Yuxin-CV--EVA-02/refs").mkdir()
    (tmp_path / "hub/models--Yuxin-CV--EVA-02/refs/main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert weights_are_here(CATALOGUE["eagle/eva02-det-1024"])
    assert hub_file(weights).samefile(cached)
    (tmp_path / "mine.pth").touch()
    assert hub_file(str(tmp_path / "mine.pth")) == tmp_path / "mine.pth"


def test_a_field_left_at_its_default_does_not_make_stored_features_stale() -> None:
    # Recorded before entries had the fields that now have defaults.
    assert weights_digest(replace(CATALOGUE["burgess/mim-vit"], weights="nobody/nothing")) == _DIGEST
    assert weights_digest(replace(VIT, fit="pad")) != weights_digest(VIT)


_DIGEST = "1d53369cf15be095"
