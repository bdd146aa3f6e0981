"""`geoseg model import`: a bundle made from the state dict that another program saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geoseg.cli.paths import FilePath
from geoseg.cli.say import say
from geoseg.errors import UsageError


@click.command("import")
@click.argument("checkpoint", type=FilePath())
@click.option("--architecture", required=True, help="Name in geoseg model architectures.")
@click.option("--encoder", default="", help="Its encoder, such as resnet34.")
@click.option("--arguments", help="Its further arguments, as a JSON object.")
@click.option("--out", required=True, type=FilePath(), help="Folder of the bundle to write.")
@click.option("--contract", type=FilePath(), help="YAML file with the fields of the next nine options.")
@click.option("--bands", help="Names in the network's order: red,green,blue")
@click.option("--classes", help="In the order of the outputs: forest,water (ids 1, 2) or 3=forest,7=water")
@click.option("--dtype", help="Of the raw values.  [default: uint8]")
@click.option("--value-range", help="Smallest and largest raw value: 0,10000")
@click.option("--scale", type=float, help="Raw values times scale plus offset ...")
@click.option("--offset", type=float, help="... are in the units of mean and std.  [default: 1 and 0]")
@click.option("--mean", help="One number per band, or one for all.")
@click.option("--std", help="One number per band, or one for all.")
@click.option("--pixel-size", help="Smallest and largest in metres: 8,12")
@click.option("--prefix", help="What stands before the weights' names. Found out by itself.")
@click.option("--name", help="Name of the model. The folder's own.")
@click.option("--model-version", default="1.0", show_default=True, help="Version of the model.")
@click.option("--licence", default="not said", show_default=True, help="Licence of the weights.")
@click.option("--credit", default="not said", show_default=True, help="Who made them.")
@click.option("--margin", type=int, default=32, show_default=True, help="Pixels discarded at a tile's edge.")
@click.option("--size-multiple", type=int, default=32, show_default=True, help="The network's stride.")
@click.option("--half", is_flag=True, help="Store weights as float16, half the size.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def command(
    checkpoint: str,
    architecture: str,
    encoder: str,
    arguments: str | None,
    out: str,
    contract: str | None,
    **options: Any,
) -> None:
    r"""Make a bundle of CHECKPOINT: safetensors, or what torch.save, Lightning or TorchGeo wrote.

    \b
      geoseg model import best.ckpt --architecture unet --encoder resnet34 --out my-model \
        --bands red,green,blue --classes forest,other --scale 0.00392157 --mean 0 --std 1 --pixel-size 8,12
    """
    from geoseg.models.architectures import PROMPTED, Architecture
    from geoseg.models.description import ModelDescription
    from geoseg.models.importing import import_checkpoint, is_pickle
    from geoseg.models.input_form import InputForm
    from geoseg.strict_yaml import read_yaml

    written = {key: parse(options.pop(key)) for key, parse in _FORM.items()}
    given = {key: value for key, value in written.items() if value is not None}
    form = InputForm.parse({**(read_yaml(contract) if contract else {}), **given}, where=contract)
    if is_pickle(checkpoint):
        say(
            "geoseg: warning: a torch checkpoint is a pickle, which can be made to run code. Only tensors "
            "and plain values are read from it (weights_only). All the same, import files from people you "
            "trust alone.",
            err=True,
        )
    model = ModelDescription(
        name=options["name"] or Path(out).absolute().name,
        version=options["model_version"],
        architecture=Architecture(name=architecture, encoder=encoder, arguments=_arguments(arguments)),
        contract=form.contract(),
        legend=form.legend(),
        licence=options["licence"],
        margin=options["margin"],
        size_multiple=options["size_multiple"],
        tasks=("promptable" if architecture in PROMPTED else "semantic",),
        provenance={"credit": options["credit"]},
    )
    done = import_checkpoint(
        checkpoint,
        out,
        model,
        prefix=options["prefix"],
        half=options["half"],
        overwrite=options["overwrite"],
    )
    before = f" (their names began with {done.prefix!r})" if done.prefix else ""
    say(f"{done.bundle.path}  {done.bundle.weights_bytes / 1e6:.1f} MB{before}")
    if done.left_out:
        more = " ..." if len(done.left_out) > 5 else ""
        say(f"{len(done.left_out)} left out: {', '.join(done.left_out[:5])}{more}")


def _arguments(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise UsageError("--arguments is not JSON", why=str(error)) from None
    if not isinstance(value, dict):
        raise UsageError("--arguments is not a JSON object", why=f"found {text}")
    return value


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _classes(text: str | None) -> list[str] | dict[str, str] | None:
    words = _words(text)
    if words is None or not any("=" in word for word in words):
        return words
    return {key.strip(): name.strip() for key, _, name in (word.partition("=") for word in words)}


def _as_it_is(value: object) -> object:
    return value


_FORM = {
    "bands": _words,
    "classes": _classes,
    "dtype": _as_it_is,
    "value_range": _words,
    "scale": _as_it_is,
    "offset": _as_it_is,
    "mean": _words,
    "std": _words,
    "pixel_size": _words,
}
