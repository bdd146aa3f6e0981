"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from geoseg.execution import Where

F = TypeVar("F", bound=Callable[..., Any])

_PREDICTION = (
    click.option(
        "--model",
        multiple=True,
        required=True,
        help="Name of a shipped model (geoseg model list) or a bundle folder. Given again: averaged.",
    ),
    click.option(
        "--tta",
        type=click.Choice(["none", "flips", "d4"]),
        default="none",
        show_default=True,
        help="Average each tile's views: 4 flips, or all 8 symmetries. Costs as many passes.",
    ),
    click.option(
        "--bands", help="Scene bands in the model's order: numbers from 1, or names. Example: 3,2,1"
    ),
    click.option("--tile", type=int, help="Side of the window the model sees. Chosen by scene size."),
    click.option("--margin", type=int, help="Pixels discarded (crop) or shared (blend) at a tile's edge."),
    click.option("--chunk", type=int, default=4096, show_default=True, help="Side of one task's block."),
    click.option("--stitch", type=click.Choice(["crop", "blend"]), default="crop", show_default=True),
    click.option("--batch", type=int, help="Tiles per forward pass; never changes a label."),
    click.option(
        "--engine",
        default="auto",
        show_default=True,
        help="auto (timed on the scene), torch, onnx or openvino.",
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        show_default=True,
        help="auto is decided with the engine; fp32 where nothing is measured.",
    ),
    click.option("--novelty", is_flag=True, help="Also map how unlike the model's training the scene looks."),
    click.option("--aoi", type=click.Path(), help="Polygon layer; everything outside becomes nodata."),
    click.option("--nodata", type=float, help="Value that means no data, instead of the file's own tag."),
    click.option("--assume-crs", help="CRS of a scene that has none, for example EPSG:32720."),
    click.option("--assume-transform", help="Its affine numbers a,b,c,d,e,f (pixel corner to map)."),
    click.option("--allow-vrt", is_flag=True, help="Read VRT files (they can name other files)."),
    click.option("--force", is_flag=True, help="Use the model although its input contract refuses."),
)


_WHERE = (
    click.option("--workers", default="0", show_default=True, help="0: this process; N processes; or 'gpu'."),
    click.option("--threads", type=int, help="Threads of this process, or of each worker. All cores."),
    click.option("--scheduler", help="Address of a running Dask scheduler, like tcp://host:8786."),
)


def where_options(command: F) -> F:
    """The command with the options of where it runs."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


def prediction_options(command: F) -> F:
    """The command with every option of a prediction and of where it runs."""
    for option in reversed((*_PREDICTION, *_WHERE)):
        command = option(command)
    return command


def split_where(options: dict[str, Any]) -> tuple[Where, dict[str, Any]]:
    """(where to run, job fields that were given) from a command's options."""
    from geoseg.execution import Where

    fields = dict(options)
    where = Where.parse(fields.pop("workers"), fields.pop("scheduler"), fields.pop("threads"))
    if len(fields.get("model", ())) == 1:
        (fields["model"],) = fields["model"]
    return where, {key: value for key, value in fields.items() if value is not None}
