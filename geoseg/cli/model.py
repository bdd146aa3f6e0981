"""`geoseg model`: list and show models, get public ones, list architectures, export, import a checkpoint."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from geoseg.cli import model_get, model_import
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen

if TYPE_CHECKING:
    from rich.table import Table

    from geoseg.models.bundle import Bundle

_MOST_NAMES = 9
_COLUMNS = 80


_LATE = ("compare", "int8")


class _Group(click.Group):
    """Group whose commands with the options of a job are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_LATE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LATE:
            command: click.Command = import_module(f"geoseg.cli.model_{cmd_name}").command
            return command
        return super().get_command(ctx, cmd_name)


@click.group("model", cls=_Group)
def command() -> None:
    """List, show, get, compare, export and import models; measure what int8 costs one."""


command.add_command(model_import.command)
command.add_command(model_get.command)


@command.command("list")
@click.option(
    "--json", "as_json", is_flag=True, help="For programs: a list of names with their descriptions."
)
def list_models(as_json: bool) -> None:
    """Name, purpose, classes, input and score of every model."""
    from geoseg.models.bundle import list_bundles, load_bundle

    bundles = [load_bundle(name, verify=False) for name in list_bundles()]
    if as_json:
        fields = [{"name": b.name, "version": b.version, "description": b.description} for b in bundles]
        say(json.dumps(fields, indent=2))
        return
    for b in bundles:
        say("\n".join(_entry(b)))
    say("geoseg model show NAME says more. A path of a bundle directory is a model too.")


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For programs: the bundle's own description.")
def show(name: str, as_json: bool) -> None:
    """What the model NAME (or a bundle directory) takes, gives and scores."""
    from geoseg.models.bundle import load_bundle

    bundle = load_bundle(name)
    if as_json:
        say((bundle.path / "bundle.json").read_text(encoding="utf-8").removesuffix("\n"))
        return
    console = screen()
    console.print(f"{bundle.name} {bundle.version}", style="bold")
    if bundle.description:
        console.print(bundle.description)
    for table in (_facts(bundle), _bands(bundle), _classes(bundle)):
        console.print(table)
    for what, file in (("Card", "README.md"), ("Picture", "samples.png")):
        if (bundle.path / file).is_file():
            console.print(f"{what}: {bundle.path / file}")


@command.command("architectures")
@click.option("--json", "as_json", is_flag=True, help="For programs: names, what they are, papers.")
def list_architectures(as_json: bool) -> None:
    """Networks by name, for training, importing and bundles of your own."""
    from geoseg.models.architectures import describe

    described = describe()
    if as_json:
        fields = [{"name": d.name, "what": d.what, "paper": d.paper} for d in described]
        say(json.dumps(fields, indent=2, ensure_ascii=False))
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("architecture", no_wrap=True)
    table.add_column("what")
    table.add_column("paper")
    for d in described:
        table.add_row(d.name, d.what, d.paper)
    screen().print(table)
    say("Encoders: those of timm and segmentation-models-pytorch, by name (docs/models.md).")


@command.command("export")
@click.argument("bundle")
@click.option("--onnx", "as_onnx", is_flag=True, required=True, help="The format; there is one.")
@click.option("--out", type=FilePath(), help="File to write. model.onnx in the bundle's folder.")
@click.option("--tile", type=int, default=512, show_default=True, help="Side of the tiles it takes.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def export(bundle: str, as_onnx: bool, out: str | None, tile: int, overwrite: bool) -> None:
    """Write the model BUNDLE as ONNX and compare its answers with torch's."""
    from geoseg.engines.onnx_export import OPSET, export_onnx
    from geoseg.models.bundle import load_bundle

    done = export_onnx(load_bundle(bundle), out, tile=tile, overwrite=overwrite)
    say(
        f"{done.path}  {done.bytes / 1e6:.1f} MB, opset {OPSET}, any number of {tile} x {tile} tiles\n"
        f"against torch: {done.agreement:.4%} of the labels agree, "
        f"logits differ by at most {done.difference:.2g} (largest {done.largest:.3g})"
    )


def _entry(bundle: Bundle) -> Iterator[str]:
    """Lines of a list about one model, none wider than a terminal."""
    classes, score = len(bundle.legend), _score(bundle)
    head = ", ".join(
        [
            f"{bundle.name}  {' and '.join(bundle.tasks)}",
            f"{classes} class{'' if classes == 1 else 'es'}",
            _metres(bundle),
            *([score] if score else []),
            _size(bundle),
        ]
    )
    yield from textwrap.wrap(head, _COLUMNS, subsequent_indent="    ")
    for text in (bundle.description, f"{_few(bundle.legend.names)} <- {_few(bundle.contract.band_names)}"):
        yield from textwrap.wrap(text, _COLUMNS, initial_indent="  ", subsequent_indent="    ")


def _facts(bundle: Bundle) -> Table:
    from rich.table import Table
    from rich.text import Text

    from geoseg.models.int8_loss import read_int8_loss

    table = Table(show_header=False, box=None, pad_edge=False)
    low, high = bundle.contract.value_range
    network = f"{bundle.architecture.name} {bundle.architecture.encoder}".strip()
    rows = {
        "answers": f"{', '.join(bundle.tasks)}; the first unless --task says another"
        if len(bundle.tasks) > 1
        else bundle.task,
        "input": f"{bundle.contract.dtype}, values {low:g} to {high:g}, pixels of {_metres(bundle)}",
        "may be missing": "; ".join(f"{s.name} ({', '.join(s.bands)})" for s in bundle.contract.sensors),
        "network": f"{network}, {_size(bundle)}, margin {bundle.margin} px",
        "regions": "" if bundle.regions is None else str(bundle.regions),
        "licence": bundle.licence,
        "data": str(bundle.provenance.get("data", "not said")),
        "credit": str(bundle.provenance.get("credit", "not said")),
        "scored on": str(bundle.scores.get("data", "not scored")),
        "scores": ", ".join(
            f"{key.replace('_', ' ')} {value:.3f}"
            for key, value in bundle.scores.items()
            if isinstance(value, float)
        ),
        "int8": str(read_int8_loss(bundle) or ""),
        "digest": bundle.digest[:16],
    }
    for key, value in rows.items():
        if value:
            table.add_row(Text(key, style="dim"), value)
    return table


def _bands(bundle: Bundle) -> Table:
    from rich import box
    from rich.table import Table

    table = Table("band", "name", "wavelength", "description", box=box.SIMPLE_HEAD)
    for number, band in enumerate(bundle.contract.bands, start=1):
        wavelength = "" if band.wavelength_nm is None else f"{band.wavelength_nm:g} nm"
        table.add_row(str(number), band.name, wavelength, band.description)
    return table


def _classes(bundle: Bundle) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    scored = bundle.scores.get("classes", {})
    table = Table("id", "class", "colour", "IoU", "F1", box=box.SIMPLE_HEAD)
    for c in bundle.legend.classes:
        scores = scored.get(c.name, {}) if isinstance(scored, dict) else {}
        found = (scores.get(key) for key in ("iou", "f1"))
        cells = ("" if value is None else f"{value:.3f}" for value in found)
        color = Text.assemble(("██", c.color), f" {c.color}")
        table.add_row(str(c.id), c.name, color, *cells)
    return table


def _few(names: Sequence[str]) -> str:
    more = "" if len(names) <= _MOST_NAMES else f", ... ({len(names)})"
    return ", ".join(names[:_MOST_NAMES]) + more


def _metres(bundle: Bundle) -> str:
    low, high = bundle.contract.pixel_size
    return f"{low:.3g} to {high:.3g} m"


def _score(bundle: Bundle) -> str:
    key, name = ("mean_iou", "mean IoU") if bundle.objects is None else ("f1", "F1 of objects")
    value = bundle.scores.get(key)
    return f"{name} {value:.3f}" if isinstance(value, float) else ""


def _size(bundle: Bundle) -> str:
    return f"{bundle.weights_bytes / 1e6:.1f} MB"
