"""Every command that writes: where it cannot, and where it would destroy what it reads."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest

from geoseg.cli.main import cli, main


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A command that writes.

    Attributes
    ----------
    command
        What is typed; ``OUT`` stands for what it writes, ``IN`` for a file that it reads.
    suffix
        Of the file that it writes; empty where it writes a folder.
    own
        A file that it writes into such a folder, or that is lost with it; beside a file, the end of its name.
    given
        End of the name of the file that it reads.
    """

    command: str
    suffix: str = ""
    own: str = ""
    given: str = ".tif"


WRITERS = {
    "predict": Writer(command="predict IN --model demo-frontier --out OUT", own="classes.tif"),
    "predict an area": Writer(
        command="predict none.tif --aoi IN --model demo-frontier --out OUT", own="objects.gpkg", given=".gpkg"
    ),
    "prompt": Writer(command="prompt none.tif IN --model none --out OUT", suffix=".gpkg", given=".gpkg"),
    "prompt a Shapefile": Writer(
        command="prompt none.tif IN --model none --out OUT", suffix=".shp", given=".SHP"
    ),
    "clean": Writer(command="clean IN --min-pixels 4 --out OUT", suffix=".tif"),
    "vectorize": Writer(command="vectorize none.tif --confidence IN --out OUT", suffix=".fgb", given=".fgb"),
    "vectorize's table": Writer(
        command="vectorize none.tif --neighbours --fractions IN --out OUT",
        suffix=".parquet",
        own=".parquet_neighbours.csv",
    ),
    "evaluate": Writer(command="evaluate none.tif IN --out OUT", suffix=".json", given=".json"),
    "evaluate's table": Writer(command="evaluate none.tif IN --out OUT", suffix=".json", own=".csv"),
    "evaluate's errors": Writer(command="evaluate IN none.tif --errors OUT", suffix=".tif"),
    "evaluate objects": Writer(
        command="evaluate objects.geojson IN --out OUT", suffix=".json", given=".json"
    ),
    "change": Writer(command="change none.tif IN --out OUT", own="change.tif"),
    "change's polygons": Writer(
        command="change none.tif none.tif --legend IN --out out --polygons OUT", suffix=".gpkg", given=".gpkg"
    ),
    "landscape": Writer(command="landscape none.tif --legend IN --out OUT", suffix=".csv", given=".csv"),
    "sample design": Writer(
        command="sample design none.tif --regions IN --n 50 --out OUT", suffix=".gpkg", given=".gpkg"
    ),
    "sample export": Writer(command="sample export IN --out OUT", suffix=".csv", given=".csv"),
    "sample estimate": Writer(command="sample estimate IN --out OUT", suffix=".json", own=".csv"),
    "sample import": Writer(command="sample import OUT IN", suffix=".csv", given=".csv"),
    "zones": Writer(command="zones none.tif IN --out OUT", suffix=".gpkg", given=".gpkg"),
    "zones in a table": Writer(command="zones none.tif IN --out OUT", suffix=".csv", given=".csv"),
    "series": Writer(command="series IN none.tif --out OUT", own="stable.tif"),
    "fit": Writer(command="fit kmeans IN --classes 3 --out OUT", own="in.tif"),
    "fit a pattern": Writer(command="fit kmeans 'OUT/*.tif' --classes 3 --out OUT", own="in.tif"),
    "adapt": Writer(
        command="adapt none.tif IN --model demo-frontier --out OUT", own="in.gpkg", given=".gpkg"
    ),
    "train": Writer(command="train JOB --out OUT", own="in.tif"),
    "pretrain": Writer(
        command="pretrain none.tif --encoder resnet18 --encoder-weights IN --out OUT",
        suffix=".safetensors",
        given=".safetensors",
    ),
    "pretrain's card": Writer(
        command="pretrain IN --encoder resnet18 --out OUT", suffix=".safetensors", own=".json", given=".json"
    ),
    "suggest": Writer(command="suggest none.tif --labelled IN --out OUT", suffix=".gpkg", given=".gpkg"),
    "report": Writer(command="report IN --out OUT", own="methods.md"),
    "model compare": Writer(
        command="model compare none.tif IN --model demo-frontier --out OUT", own="comparison.csv"
    ),
    "model int8": Writer(
        command="model int8 demo-frontier IN none.tif --out OUT", own="summary.csv", given=".csv"
    ),
    "model import": Writer(
        command="model import IN --architecture unet --encoder resnet18 --bands red --classes a,b --scale 1 "
        "--mean 0 --std 1 --pixel-size 8,12 --licence none --out OUT",
        own="in.safetensors",
        given=".safetensors",
    ),
    "model get": Writer(command="model get dynamic-world --accept-licence --from IN --out OUT", own="in.zip"),
    "model export": Writer(command="model export demo-frontier --onnx --out OUT", suffix=".onnx"),
    "demo": Writer(command="demo --size 64x64 --out OUT"),
}

READERS = [n for n, w in WRITERS.items() if {"IN", "JOB", "'OUT/*.tif'"} & set(w.command.split())]
JOB = """
scenes:
- {{image: {given}, labels: {given}.gpkg, field: class}}
classes: {{1: forest, 2: water}}
out: models/mine
"""
OBJECTS = """{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry":
{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}]}"""


def answer(command: str) -> tuple[int, str]:
    """Exit code and what is said."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(shlex.split(command))
    return int(str(end.value.code)), said.getvalue()


def typed(writer: Writer, out: str, given: str, *, overwrite: bool = False) -> str:
    """The command of a writer, with the files that it needs to start."""
    if " JOB " in writer.command:
        Path("job.yaml").write_text(JOB.format(given=given))
    if "objects.geojson" in writer.command:  # its suffix says of what kind the scores are
        Path("objects.geojson").write_text(OBJECTS)
    command = writer.command.replace("JOB", "job.yaml").replace("OUT", out).replace("IN", given)
    return (
        f"{command} --overwrite"
        if overwrite and not command.startswith(("demo", "sample import"))
        else command
    )


def content(folder: Path) -> dict[str, bytes | None]:
    found = sorted(folder.rglob("*"))
    return {str(p): p.read_bytes() if p.is_file() else None for p in found if p.name != "job.yaml"}


def not_written(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a file and a folder that are somebody's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    return tmp_path


@pytest.mark.parametrize("place", ["below a file", "of the system", "the wrong kind", "of a read-only disk"])
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "sample import"])
def test_a_place_that_cannot_be_written_is_refused_before_any_input_is_opened(
    name: str, place: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = WRITERS[name]
    if writer.suffix and place == "the wrong kind":
        Path(f"x{writer.suffix}").mkdir()
    out = {
        "below a file": f"file/x{writer.suffix}",
        "of the system": f"/proc/geoseg/x{writer.suffix}",
        "the wrong kind": f"x{writer.suffix}" if writer.suffix else "file",
        "of a read-only disk": f"folder/x{writer.suffix}",
    }[place]
    if place == "of the system" and not Path("/proc/self").exists():
        pytest.skip("no such folder on this system")
    if place == "of a read-only disk":
        monkeypatch.setattr(tempfile, "TemporaryFile", not_written)
    command = typed(writer, out, f"none{writer.given}")
    before = content(here)
    code, said = answer(command)
    assert code == 6, said
    assert "cannot be written" in said or (place == "the wrong kind" and Path(out).name in said), said
    assert content(here) == before


@pytest.mark.parametrize("way", ["through a linked folder", "in other letters"])
@pytest.mark.parametrize("name", READERS)
def test_an_output_that_would_destroy_an_input_is_refused(name: str, way: str, here: Path) -> None:
    writer = WRITERS[name]
    out = here / "data" / f"x{writer.suffix}"
    given = out / writer.own if not writer.suffix else out.with_name(f"x{writer.own or writer.given}")
    if not writer.suffix and way == "in other letters":
        pytest.skip("a folder's name stands before that of the file")
    given.parent.mkdir(parents=True)
    given.write_text("mine")
    if not writer.suffix:
        (out / "bundle.json").write_text("{}")
    Path("linked").symlink_to(out.parent)
    other = {
        "through a linked folder": f"linked/{out.name}",
        "in other letters": str(out.with_name(out.name.upper())),
    }
    command = typed(writer, other[way], str(given), overwrite=True)
    before = content(here)
    code, said = answer(command)
    assert code == 6 and "the output" in said and "input" in said, said
    assert content(here) == before


@pytest.mark.parametrize("command", ["change a.tif b.tif --out ''", "vectorize '' --out a.gpkg", "verify ''"])
def test_an_empty_path_is_a_variable_that_is_not_set(command: str, here: Path) -> None:
    before = content(here)
    code, said = answer(command)
    assert code == 2 and "is empty" in said and content(here) == before


def test_every_command_that_writes_is_here() -> None:
    def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
        with click.Context(group) as context:
            for name in group.list_commands(context):
                found = group.get_command(context, name)
                assert found is not None
                if isinstance(found, click.Group):
                    yield from commands(found, f"{before}{name} ")
                else:
                    yield f"{before}{name}", found

    assert isinstance(cli, click.Group)
    writing = {n for n, c in commands(cli) if any(p.name in {"out", "errors", "polygons"} for p in c.params)}
    tested = {n for n in writing if any(w.command.startswith(f"{n} ") for w in WRITERS.values())}
    assert writing - tested == {"plan"}  # which writes nothing
