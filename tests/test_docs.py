"""What the documents say is true of the code: links, options, versions, the models' numbers."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml

import geoseg
from geoseg.cli.main import cli

ROOT = Path(geoseg.__file__).parent.parent
PAGES = sorted(
    p for pattern in ("*.md", "docs/**/*.md", "geoseg/models/pretrained/*/*.md") for p in ROOT.glob(pattern)
)
NAMES = [p.relative_to(ROOT).as_posix() for p in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert broken == []


def options_of(command: click.Command) -> set[str]:
    found = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            sub = command.get_command(context, name)
            assert sub is not None
            found |= options_of(sub)
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_options_exist(page: Path) -> None:
    """Every `geoseg COMMAND --option` in the documents is one that the command takes."""
    context = click.Context(cli)
    wrong = []
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"^(?: {4,}|\$ )(?:[A-Z_]+=\S+ )?geoseg ([a-z]+)(.*)$", text, re.MULTILINE)
    for name, rest in shown + re.findall(r"`geoseg ([a-z]+)([^`]*)`", text):
        command = cli.get_command(context, name)
        if command is None:
            wrong.append(f"geoseg {name}")
            continue
        known = options_of(command) | {"--help"}
        given = re.findall(r"(--[a-z][a-z-]+)", rest.partition("#")[0])
        wrong += [f"geoseg {name} {option}" for option in given if option not in known]
    assert wrong == []


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name != "adr"], ids=lambda p: p.name)
def test_named_files_exist(page: Path) -> None:
    """Decisions may name what was turned down; every other page names what is there."""
    named = re.findall(
        r"`((?:geoseg|tests|workflows|docs|configs|benchmarks)/[\w/.-]+)`", page.read_text("utf-8")
    )
    assert [n for n in named if not (ROOT / n).exists()] == []


def test_the_page_on_architecture_has_every_room_on_the_floor_of_the_contract() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    lists, floors = page.partition("## Rooms")[2].split("Floors, low to high")
    named = re.findall(r"^    ((?:\w+(?:\.py|/) +)+)", lists, re.MULTILINE)
    rooms = [re.sub(r"\.py|/", "", name) for line in named for name in line.split()]
    there = {
        p.stem
        for p in (ROOT / "geoseg").iterdir()
        if (p.is_dir() and any(p.glob("*.py"))) or (p.suffix == ".py" and p.stem != "__init__")
    }
    assert len(rooms) == len(there) and set(rooms) == there
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = contract["contracts"][0]["layers"]
    said = re.findall(r"`([a-z_, ]+)`", floors.partition("`make lint`")[0])
    assert [set(f.split(", ")) for f in said] == [set(f.split(" | ")) for f in reversed(layers)]


def test_the_readme_gives_the_models_own_numbers() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in sorted((ROOT / "geoseg/models/pretrained").iterdir()):
        bundle = json.loads((folder / "bundle.json").read_text())
        row = next(line for line in text.splitlines() if f"`{bundle['name']}`](" in line)
        scores = bundle["scores"]
        named = f"F1 {scores['f1']:.3f}" if "f1" in scores else f"mean IoU {scores['mean_iou']:.3f}"
        assert named in row
        assert bundle["licence"] in row


def test_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == geoseg.__version__
    assert f"## {geoseg.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_hold_names_and_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r'#.*|[a-z0-9-]+==[\w.]+(; python_version (<|>=|==) "3\.\d+")?', line), line


def test_plug_in_tables_point_at_functions() -> None:
    pytest.importorskip("transformers")
    from geoseg.engines.opening import ENGINES
    from geoseg.models.architectures import ARCHITECTURES
    from geoseg.writers.formats import FORMATS

    for target in (
        *(entry.network for entry in ENGINES.values()),
        *ARCHITECTURES.values(),
        *(f.writer for f in FORMATS),
        *(f.keep for f in FORMATS if f.keep),
    ):
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))
