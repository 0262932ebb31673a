"""The help page lists every field of the tree, fits the terminal, and comes in about a second."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from opabinia.command_line import load_settings
from opabinia.command_line.help import help_text
from opabinia.command_line.schema import leaves, schema_of
from opabinia.experiment import Experiment
from tests.command_line.tree import Tree

PAGE = help_text(schema_of(Tree), program="jobs/x.py", description="Does something.", width=80)


def test_every_field_has_its_flag() -> None:
    flags = {line.split()[0] for line in PAGE.splitlines() if line.startswith("  --")}
    groups = {"--cache", "--kept", "--connector"}
    for path in leaves(schema_of(Tree)):
        flag = f"--{'.'.join(path)}"
        assert flag in flags | groups, flag


@pytest.mark.parametrize(
    "entry",
    [
        "  --name TEXT  [required]\n      What it is called.",
        "  --seed INTEGER ≥ 0  [default: 0]",
        "  --limit INTEGER or null  [default: null]",
        "  --encoders [TEXT, ...]  [default: [a, b]]",
        "  --sets [[TEXT, ...], ...] or all_subsets  [default: all_subsets]",
        "  --kept.enabled true|false  [default: false]\n      Keep them at all.",
        "  --stages.N.lr NUMBER > 0  [required]\n      Peak learning rate.",
        "  --sources.NAME.folder PATH  [required]",
        "  --connector.width INTEGER > 0  [default: 64]",
        "  --connector.type sva  [default: sva]",
        "  --connector.type TEXT  [default: mlp2x_gelu]",
    ],
)
def test_an_entry_shows_type_default_and_meaning(entry: str) -> None:
    assert entry in PAGE


@pytest.mark.parametrize("width", [50, 80, 110])
def test_the_text_fits_the_terminal(width: int) -> None:
    page = help_text(schema_of(Tree), program="jobs/x.py", description="Does something. " * 20, width=width)
    prose = [line for line in page.splitlines() if not line.startswith(("  --", "Usage"))]
    assert max(len(line) for line in prose) <= width


def test_the_default_file_is_named() -> None:
    page = help_text(schema_of(Tree), program="x.py", description="", width=80, default_file=Path("a.yaml"))
    assert "  --config FILE  [default: a.yaml]\n" in page


def test_help_wins_over_mistakes_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--help", "-h"):
        with pytest.raises(SystemExit) as caught:
            load_settings(Tree, ["--config", "nope.yaml", flag], description="Does something.")
        assert caught.value.code == 0
        assert capsys.readouterr().out.startswith("Does something.\n")


JOB = """
import sys
from opabinia.command_line import load_settings
from opabinia.experiment import Experiment
try:
    load_settings(Experiment, ["--help"], description="Runs a sweep.")
finally:
    heavy = {"torch", "ray", "transformers", "mlflow", "lance", "matplotlib", "numpy", "pandas"} & sys.modules.keys()
    print(f"heavy: {sorted(heavy)}")
"""


def test_the_experiments_help_imports_nothing_heavy_and_answers_in_about_a_second() -> None:
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begin)
    assert done.stdout.endswith("heavy: []\n")
    assert "--stages.N.lr NUMBER > 0" in done.stdout
    assert min(seconds) < 1.5


def test_every_field_of_the_experiment_says_what_it_means() -> None:
    page = help_text(schema_of(Experiment), program="x", description="", width=80).splitlines()
    bare = [
        line.split()[0]
        for line, following in zip(page, [*page[1:], ""], strict=True)
        if line.startswith("  --") and not following.startswith("      ") and not line.split()[0].endswith(".type")
    ]
    assert bare == []


def test_the_quickstart_file_is_a_valid_experiment() -> None:
    file = Path(__file__).parents[2] / "jobs" / "experiments" / "quickstart.yaml"
    experiment = load_settings(Experiment, ["--config", str(file), "--stages.1.lr", "2e-5"], description="")
    assert experiment.stages[1].lr == 2e-5
