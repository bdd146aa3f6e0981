"""Add to a bundle what its training scenes look like, where it was trained before bundles kept that.

    GEOSEG_DATA=/path/to/data python workflows/add_experience.py configs/train_urban.yaml

The configuration that the bundle was trained from says which scenes those are; paths are below GEOSEG_DATA,
or below --root. Weights, scores and card stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from training_options import data_folder

from geoseg.errors import InputError
from geoseg.files import whole
from geoseg.models.bundle import load_bundle
from geoseg.models.contract import InputContract
from geoseg.training.job import TrainJob
from geoseg.training.prepare import prepare
from geoseg.training.statistics import experience_of


@click.command()
@click.argument("config", type=click.Path(exists=True))
@click.option("--root", type=click.Path(exists=True, path_type=Path), help="Folder of the scenes.")
def main(config: str, root: Path | None) -> None:
    """Write the bundle's description anew, with the experience."""
    job = TrainJob.load(config).model_copy(update={"encoder_weights": None})
    bundle = load_bundle(job.out)
    preparation = prepare(job, root=root or data_folder())
    for ours, theirs in zip(_constants(preparation.contract), _constants(bundle.contract), strict=True):
        if not np.allclose(ours, theirs, rtol=1e-4):
            raise InputError("trained on other scenes", where=job.out, why=f"{ours} against {theirs}")
    experience = experience_of(preparation.sources, preparation.index, bundle.contract)
    file = bundle.path / "bundle.json"
    said: dict[str, object] = {}
    for key, value in json.loads(file.read_text(encoding="utf-8")).items():
        if key != "experience":
            said[key] = value
        if key == "temperature":
            said["experience"] = experience.to_json()
    with whole(file) as partial:
        partial.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(load_bundle(bundle.path).path)


def _constants(contract: InputContract) -> tuple[tuple[float, ...], ...]:
    return contract.mean, contract.std


if __name__ == "__main__":
    main()
