"""`geoseg demo`: the whole chain on a synthetic frontier scene, offline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geoseg.cli.fields import where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.progress import pixel_progress
from geoseg.cli.say import screen

if TYPE_CHECKING:
    from rich.console import Console

    from geoseg.demo.run import Demo


@click.command(name="demo")
@click.option(
    "--out",
    type=FilePath(path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder to write; an earlier demo there is replaced.",
)
@click.option("--size", metavar="HEIGHTxWIDTH", help="Size of the scene in pixels.  [default: 1543x1789]")
@click.option("--seed", type=click.IntRange(min=0), help="Another landscape.  [default: 2024]")
@where_options("threads")
def command(out: Path, size: str | None, seed: int | None, threads: int | None) -> None:
    """Make a synthetic frontier scene at two dates and run the whole chain over it.

    Nothing is downloaded. OUT gets the scenes, their exact references, class maps, polygons, scores,
    change in hectares, and pictures.
    """
    from geoseg.demo.frontier import DEMO_SEED, DEMO_SHAPE
    from geoseg.demo.run import run_demo

    shape = DEMO_SHAPE if size is None else _shape(size)
    console = screen()
    console.print(f"A synthetic frontier of {shape[0]} x {shape[1]} pixels of 10 m, at two dates.")
    with pixel_progress("demo") as report:
        demo = run_demo(
            out,
            shape=shape,
            seed=DEMO_SEED if seed is None else seed,
            threads=threads,
            say=lambda text: console.print(f"  {text}"),
            progress=report,
        )
    _show(demo, console)


def _shape(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d+)(?:\s*[xX,]\s*(\d+))?\s*", text)
    if not found:
        raise click.BadParameter(f"found {text!r}, expected like 800x900 or 800", param_hint="--size")
    height = int(found[1])
    return height, int(found[2] or height)


def _show(demo: Demo, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from geoseg.demo.run import HOW_TO_OPEN

    table = Table("class", title_justify="left", box=None, pad_edge=False)
    table.title = "Scores against the exact references"
    for name in ("IoU before", "IoU after", "precision after", "recall after"):
        table.add_column(name, justify="right")
    before, after = demo.scores
    for b, a in zip(before.per_class, after.per_class, strict=True):
        table.add_row(a["class"], *(f"{v:.3f}" for v in (b["iou"], a["iou"], a["precision"], a["recall"])))
    console.print()
    console.print(table)
    console.print(
        f"mean IoU {before.overall['mean_iou']:.3f} before, {after.overall['mean_iou']:.3f} after; "
        f"overall accuracy {after.overall['overall_accuracy']:.3f}"
    )
    mapped, true = demo.lost()
    console.print(f"forest lost between the dates: {mapped:,.0f} ha mapped, {true:,.0f} ha true")
    console.print("\nFiles")
    width = max(len(str(path)) for _, path in demo.files)
    for what, path in demo.files:
        console.print(Text.assemble(f"  {path!s:{width}}  ", (what, "dim")))
    console.print(f"\n{HOW_TO_OPEN}")
    console.print(
        "\nThe scene is synthetic and the model was trained on its like: the scores show that the chain "
        "works, not how well anything maps real land."
    )
    console.print(f"Done in {demo.seconds:.0f} s.")
