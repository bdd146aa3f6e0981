"""Judge a finished bundle of classes as `geoseg train` does now, where it was trained before some check was.

    GEOSEG_DATA=/path/to/data python workflows/judge_again.py configs/train_urban.yaml

The configuration that the bundle was trained from says on which scenes; paths are below GEOSEG_DATA, or below
--root. What its training scenes look like, temperature, scores, the card's part on them and its pictures are
written anew. The weights stay as they are; those of folds are gone, so that a bundle of folds is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from training_options import data_folder

from geoseg.errors import InputError
from geoseg.files import whole
from geoseg.models.bundle import load_bundle
from geoseg.models.contract import InputContract
from geoseg.models.network import load_network
from geoseg.training.job import TrainJob
from geoseg.training.prepare import prepare
from geoseg.training.seen import experience_of
from geoseg.training.semantic import SemanticTask

_SCORES = re.compile(r"(?<=\n## Scores on the held-out part\n\n).*?(?=\n+## (?:Limits|Made by)\n)", re.DOTALL)


@click.command()
@click.argument("config", type=click.Path(exists=True))
@click.option("--root", type=click.Path(exists=True, path_type=Path), help="Folder of the scenes.")
def main(config: str, root: Path | None) -> None:
    """Write the bundle's description and card anew."""
    job = TrainJob.load(config).model_copy(update={"encoder_weights": None})
    bundle = load_bundle(job.out)
    if job.split.folds:
        raise InputError("its scores are of folds, whose weights are gone", where=config)
    preparation = prepare(job, root=root or data_folder())
    for ours, theirs in zip(_constants(preparation.contract), _constants(bundle.contract), strict=True):
        if not np.allclose(ours, theirs, rtol=1e-4):
            raise InputError("trained on other scenes", where=job.out, why=f"{ours} against {theirs}")
    preparation = replace(preparation, contract=bundle.contract)
    task = SemanticTask(preparation, torch.device("cpu"))
    report = task.report([task.examine(load_network(bundle))])
    experience = replace(experience_of(preparation), sureness=report.sureness)
    said: dict[str, object] = {}
    for key, value in json.loads((bundle.path / "bundle.json").read_text(encoding="utf-8")).items():
        if key == "temperature":
            said |= {key: report.temperature, "experience": experience.to_json()}
        elif key != "experience":
            said[key] = {**value, **report.scores} if key == "scores" else value
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    texts = {
        "README.md": _SCORES.sub(lambda _: report.text.rstrip("\n"), card, count=1),
        "bundle.json": json.dumps(said, indent=2, ensure_ascii=False) + "\n",
    }
    for name, content in [*report.pictures.items(), *((n, t.encode()) for n, t in texts.items())]:
        with whole(bundle.path / name) as partial:
            partial.write_bytes(content)
    click.echo(load_bundle(bundle.path).path)


def _constants(contract: InputContract) -> tuple[tuple[float, ...], ...]:
    return contract.mean, contract.std


if __name__ == "__main__":
    main()
