"""Every option that a message names exists on every command that can print it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from pydantic import BaseModel

import geoseg
from geoseg.baselines.job import FitJob
from geoseg.changes.job import AFTER_NAMES, BEFORE_NAMES, ChangeJob
from geoseg.cleaning.job import CleanJob
from geoseg.cli import main as cli_main
from geoseg.cli.say import in_flags
from geoseg.errors import say_options
from geoseg.estimation.job import EstimateJob
from geoseg.evaluation.job import MAP_NAMES, REFERENCE_NAMES, EvaluateJob
from geoseg.histories.job import SeriesJob
from geoseg.plots.job import ZonesJob
from geoseg.prediction.job import PredictJob
from geoseg.sampling.job import SampleDesignJob
from geoseg.training.job import LABEL_NAMES, LabelledScene, Split, TrainJob
from geoseg.vectorization.job import VectorizeJob

PACKAGE = Path(geoseg.__file__).parent

IN_JOB_FILE: dict[str, tuple[type[BaseModel], ...]] = {
    "fit": (FitJob,),
    "train": (TrainJob, LabelledScene, Split),
    "run": (
        *(PredictJob, CleanJob, VectorizeJob, EvaluateJob, ChangeJob, SeriesJob),
        *(ZonesJob, SampleDesignJob, EstimateJob),
    ),
}
"""Jobs whose fields a command takes from a file as well."""

CALLED = {
    "evaluate": [MAP_NAMES, REFERENCE_NAMES],
    "train": [LABEL_NAMES],
    "adapt": [LABEL_NAMES],
    "change": [BEFORE_NAMES, AFTER_NAMES],
    "run": [REFERENCE_NAMES, BEFORE_NAMES, AFTER_NAMES],
}
"""What the options of a raster are called for those that are not the first."""

PREDICTING = {"plan", "predict", "run"}
ANYWHERE = PREDICTING | {"clean", "vectorize", "evaluate", "change", "series", "zones"}
LABELS = {"evaluate", "fit", "train", "run"}
SPEAKERS = {
    "geoseg.geometry.tiling": PREDICTING,  # others cut a grid into windows, which always works
    "geoseg.models.contract": PREDICTING,  # others look at a contract, and check no scene against it
    "geoseg.models.description": PREDICTING,  # its `task` was given
    "geoseg.models.bundle": PREDICTING - {"plan"} | {"fit", "train"},  # its `overwrite` is for saving
    "geoseg.engines.network_engine": PREDICTING,  # prompts have an engine of their own
    "geoseg.engines.segment_engine": PREDICTING,
    "geoseg.engines.everything": PREDICTING,
    "geoseg.raster.classmap": ANYWHERE - {"plan", "predict"} | {"landscape", "suggest"},
    "geoseg.raster.recoding": ANYWHERE - {"plan", "predict"} | LABELS | {"landscape", "suggest"},
    "geoseg.raster.rules": ANYWHERE - {"plan", "predict"} | LABELS,
    "geoseg.raster.datasource": LABELS,  # an area of interest has one layer, and says its encoding
    "geoseg.raster.vectors": LABELS,  # and no field of it is read
    "geoseg.raster.points": LABELS,
    "geoseg.raster.dates": {"series"},  # others go without a date
    "geoseg.legend": ANYWHERE - {"plan", "predict"} | LABELS,  # its `crosswalk` was given
    "geoseg.execution.where": ANYWHERE,  # it complains of what was given
    "geoseg.execution.run": ANYWHERE,
    "geoseg.execution.processes": ANYWHERE,
}
"""Commands that can print what stands in a file, where more than they load it."""

ONE_FILE = {"bands"}  # of several files
LABELLED = {"field", "single_class", "background", "crosswalk", "overlap", "encoding", "band"}  # scenes alone
NEVER = {
    "plan": {"overwrite", "allow_missing"},  # it writes nothing
    "verify": {"overwrite", "out"},  # likewise
    "fit": {"single_class", "background", "band"},  # a field is required, and rasters are refused
    "pretrain": LABELLED,
    "clean": ONE_FILE,
    "vectorize": ONE_FILE,
    "evaluate": ONE_FILE,
    "change": ONE_FILE,
    "landscape": ONE_FILE,
    "suggest": ONE_FILE,
    "zones": ONE_FILE | {"dates"},  # its own options are named
    "series": ONE_FILE | {"engine", "device", "precision", "allow_missing"},  # no engine runs
}
"""Options that stand beside others in a message, in a case that a command cannot meet."""

OWN_INPUT = {"demo", "doctor", "report"}
"""Commands that read nothing but what geoseg wrote, so that no option of reading could be wrong."""


def file_of(module: str) -> Path | None:
    path = PACKAGE.parent / module.replace(".", "/")
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes without those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from at_run_time(node)


@cache
def imported_by(module: str) -> frozenset[str]:
    path = file_of(module)
    if path is None or module == "geoseg":
        return frozenset()
    found = set()
    for node in at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(m for m in found if m.startswith("geoseg.") and file_of(m))


def loaded_by(module: str) -> set[str]:
    seen: set[str] = set()
    front = {module}
    while front:
        seen |= front
        front = {m for one in front for m in imported_by(one)} - seen
    return seen


@cache
def options_named_in(module: str) -> frozenset[str]:
    path = file_of(module)
    assert path is not None
    named: set[str] = set()

    def note(name: str, _: str | None) -> str:
        named.add(name)
        return ""

    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    inside = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            say_options(
                "".join(
                    str(getattr(v, "value", "")) if isinstance(v, ast.Constant) else "X" for v in node.values
                ),
                note,
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and not {id(node)} & (docs | inside)
        ):
            say_options(node.value, note)
    return frozenset(named)


def commands() -> Iterator[tuple[str, str, click.Command]]:
    for name in cli_main.cli.list_commands(click.Context(cli_main.cli)):
        module = f"geoseg.cli.{name}"
        command = import_module(module).command
        if not isinstance(command, click.Group):
            yield name, module, command


@pytest.mark.parametrize(
    ("name", "module", "command"), [pytest.param(*c, id=c[0]) for c in commands() if c[0] not in OWN_INPUT]
)
def test_every_option_that_a_message_names_exists(name: str, module: str, command: click.Command) -> None:
    known = {p.name for p in command.params}
    known |= {key for job in IN_JOB_FILE.get(name, ()) for key in job.model_fields}
    modules = {m for m in loaded_by(module) if name in SPEAKERS.get(m, {name})}
    named = {option: m for m in modules for option in options_named_in(m)}
    for names in CALLED.get(name, []):
        assert set(names.values()) <= known
        known |= set(names) - ({"band"} if name == "evaluate" else set())
    assert {option: m for option, m in named.items() if option not in known | NEVER.get(name, set())} == {}


def test_no_message_speaks_of_flags() -> None:
    """A caller from Python has none; the command line puts them in."""
    found = [
        f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg in {"hint", "why"}
        for node in [node.value]
        if " --" in f" {ast.unparse(node)}".replace("'", " ").replace('"', " ")
    ]
    assert [f for f in found if "pip install" not in f and "dask worker" not in f] == []


def test_flags_are_those_of_the_command() -> None:
    command = {n: c for n, _, c in commands()}
    text = "no CRS. Try: `assume_crs=EPSG:32633`, or `overwrite`"
    assert in_flags(text, command["predict"]) == "no CRS. Try: --assume-crs EPSG:32633, or --overwrite"
    assert in_flags("`region_parameters=a=1`", command["fit"]) == "--region a=1"
    assert in_flags("`assume_crs=EPSG:32633`", command["run"]) == "assume_crs: EPSG:32633"
    assert in_flags("`model=forest`", command["train"]) == "model: forest"


@pytest.mark.parametrize(
    ("value", "said"),
    [("a b", "--layer 'a b'"), ("it's", """--layer 'it'"'"'s'"""), ("EPSG:...", "--layer EPSG:...")],
)
def test_a_value_in_a_hint_can_be_pasted_into_a_shell(value: str, said: str) -> None:
    assert in_flags(f"`layer={value}`", import_module("geoseg.cli.evaluate").command) == said


def test_the_next_command_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    bundle = SimpleNamespace(description="", legend=SimpleNamespace(classes=()), scores={}, path=Path("x"))
    job = SimpleNamespace(scene="my scene.tif", band_choice=None, reading={}, out=Path("my model"))
    import_module("geoseg.cli.fit")._show(bundle, job)
    assert "geoseg predict 'my scene.tif' --model 'my model' --out out" in capsys.readouterr().out
