"""`geoseg fit`: a baseline from a scene alone, or from a few labelled polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.say import show_notes
from geoseg.errors import UsageError

_METHODS = ["ndvi", "ndwi", "mndwi", "ndbi", "nbr", "evi", "kmeans", "forest", "model"]


@click.command(name="fit")
@click.argument("method", type=click.Choice(_METHODS), required=False)
@click.argument("scene", nargs=-1, type=click.Path())
@click.option(
    "--job", "job_file", type=click.Path(path_type=Path), help="YAML file with METHOD and the rest."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Bundle folder to write.")
@click.option("--bands", help="Numbers or names, with roles if need be: red=3,nir=4. All bands.")
@click.option("--scale", type=float, help="Raw values times scale plus offset ...")
@click.option("--offset", type=float, help="... are reflectance (for an index).  [default: 1 and 0]")
@click.option("--threshold", type=float, multiple=True, help="Of an index; may be repeated. Otsu's.")
@click.option("--classes", help="How many, or names: 4, or water,land, or 3=water,7=land.")
@click.option("--labels", type=click.Path(path_type=Path), help="Polygons or points (for a forest).")
@click.option("--field", help="Their field with the class.")
@click.option("--layer", help="Their layer, where the file has several.")
@click.option("--crosswalk", type=click.Path(path_type=Path), help="YAML: value to class name or ignore.")
@click.option(
    "--overlap",
    type=click.Choice(["refuse", "first", "last", "file"]),
    help="Overlapping polygons: the class first or last in the crosswalk wins, or the later in the file.",
)
@click.option("--repair", is_flag=True, default=None, help="Repair invalid polygons.")
@click.option("--encoding", help="Of the text in a Shapefile or CSV that does not say it, like cp1252.")
@click.option("--all-touched", is_flag=True, default=None, help="Also pixels that a polygon only touches.")
@click.option("--trees", type=int, help="Of a forest.  [default: 100]")
@click.option("--depth", type=int, help="Greatest depth of a tree.  [default: 16]")
@click.option("--leaf", type=int, help="Fewest pixels in a leaf.  [default: 5]")
@click.option("--folds", type=int, help="Parts in which polygons are held out.  [default: 5]")
@click.option("--model", help="Model to put regions over (for method model).")
@click.option(
    "--regions",
    type=click.Choice(["watershed", "canny", "slic", "felzenszwalb"]),
    help="Give every region one class.",
)
@click.option(
    "--region", "region_parameters", multiple=True, metavar="KEY=NUMBER", help="A parameter of them."
)
@click.option("--margin", type=int, help="Context of a tile in pixels.  [default: 64 with regions, else 0]")
@click.option("--seed", type=int, help="Of the sample and the method.  [default: 0]")
@click.option("--licence", help="Licence of the bundle.")
@click.option("--nodata", type=float, help="Value that means no data, instead of the file's own tag.")
@click.option("--assume-crs", help="CRS of a scene that has none, for example EPSG:32720.")
@click.option("--assume-transform", help="Its affine numbers a,b,c,d,e,f (pixel corner to map).")
@click.option("--allow-vrt", is_flag=True, help="Read VRT files (they can name other files).")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def command(
    method: str | None, scene: tuple[str, ...], job_file: Path | None, overwrite: bool, **options: Any
) -> None:
    """Fit METHOD to SCENE and write it as a model.

    \b
      geoseg fit ndvi scene.tif --bands red=3,nir=4 --out models/ndvi
      geoseg fit kmeans scene.tif --classes 6 --regions slic --out models/clusters
      geoseg fit forest scene.tif --labels training.gpkg --field class --out models/forest
      geoseg fit model scene.tif --model forest-s2-rgb --regions slic --out models/objects
      geoseg fit --job configs/fit_kmeans.yaml
    """  # noqa: D301 (click reads \b)
    from geoseg.baselines.job import FitJob
    from geoseg.baselines.verb import run_fit
    from geoseg.job import read_yaml

    given = {k: v for k, v in _fields(options).items() if v is not None}
    if method is not None:
        given["method"] = method
    if scene:
        given["scene"] = list(scene) if len(scene) > 1 else scene[0]
    job = FitJob.parse({**(read_yaml(job_file) if job_file else {}), **given}, where=job_file)
    _show(run_fit(job, overwrite=overwrite, report=show_notes), job)


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    from geoseg.job import read_yaml

    fields = dict(options)
    fields["threshold"] = list(options["threshold"]) or None
    fields["classes"] = _classes(options["classes"])
    fields["allow_vrt"] = options["allow_vrt"] or None
    fields["crosswalk"] = read_yaml(options["crosswalk"]) if options["crosswalk"] else None
    fields["region_parameters"] = dict(map(_parameter, options["region_parameters"])) or None
    return fields


def _classes(text: str | None) -> object:
    if text is None or text.strip().isdigit():
        return None if text is None else int(text)
    words = [w.strip() for w in text.split(",") if w.strip()]
    if not any("=" in w for w in words):
        return words
    return {key.strip(): name.strip() for key, _, name in (w.partition("=") for w in words)}


def _parameter(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    try:
        return key.strip(), float(value)
    except ValueError:
        raise UsageError(f"--region {text!r} is not KEY=NUMBER", hint="--region spacing=16") from None


def _show(bundle: Any, job: Any) -> None:
    click.echo(bundle.description)
    click.echo(f"classes: {', '.join(f'{c.id} {c.name}' for c in bundle.legend.classes)}")
    if bundle.scores:
        scores = bundle.scores
        click.echo(f"accuracy {scores['overall_accuracy']:.3f}, on {scores['data']}")
    click.echo(f"  {bundle.path}")
    scene = job.scene if isinstance(job.scene, str) else " ".join(job.scene)
    given = {"bands": ",".join(map(str, job.band_choice or []))}
    given |= {key: getattr(job, key) for key in ("nodata", "assume_crs", "assume_transform")}
    options = [
        f"--{key.replace('_', '-')} {value}" for key, value in given.items() if value not in (None, "")
    ]
    options += ["--allow-vrt"] * job.allow_vrt
    click.echo(" ".join(["Next: geoseg predict", scene, f"--model {job.out}", *options, "--out out"]))
