"""Train the shipped model `demo-frontier` on synthetic frontier scenes, none of them the demo's.

    python workflows/train_demo.py configs/train_demo.yaml

No data needed: the scenes are drawn first, both dates of each seed, side by side so that no two share ground.
The scores in the card are those of seeds that the training never saw. A training that was stopped goes on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from affine import Affine

from geoseg.cli.train import show_row
from geoseg.demo.files import DATES, reference_file, scene_file, write_scenes
from geoseg.demo.frontier import DEMO_SEED, make_frontier
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train

SEEDS = {"training": range(100, 116), "held-out": range(300, 304)}
SHAPE = (1024, 1152)


@click.command()
@click.argument("config", type=click.Path(exists=True), default="configs/train_demo.yaml")
@click.option("--out", type=click.Path(path_type=Path), help="Bundle folder, not the configuration's.")
@click.option("--steps", type=int, help="Optimiser steps, instead of the configuration's.")
@click.option("--work", type=click.Path(path_type=Path), default="runs/demo", help="For the scenes.")
@click.option("--threads", type=int, default=1, show_default=True)
def main(config: str, out: Path | None, steps: int | None, work: Path, threads: int) -> None:
    """Draw the scenes, train, score on the held-out ones, and write the bundle with its card."""
    given = {k: v for k, v in {"out": out, "steps": steps}.items() if v is not None}
    job = TrainJob.load(config).model_copy(update=given)
    for use, seeds in SEEDS.items():
        for seed in seeds:
            draw(seed, work / use)
    run_train(job, root=work, threads=threads, progress=show_row)


def draw(seed: int, folder: Path, shape: tuple[int, int] = SHAPE) -> None:
    """Write scenes and labels of a seed, as ``scenes/SEED_DATE.tif`` and ``labels/SEED_DATE.tif``."""
    if seed == DEMO_SEED:
        raise ValueError("the demo's own scene is not for training")
    targets = {
        date: [folder / kind / f"{seed}_{date}.tif" for kind in ("scenes", "labels")] for date in DATES
    }
    if all(path.exists() for pair in targets.values() for path in pair):
        return
    frontier = make_frontier(seed, shape)
    east = Affine.translation(seed * 2 * shape[1], 0)  # each seed has ground of its own
    frontier = replace(frontier, grid=replace(frontier.grid, transform=frontier.grid.transform * east))
    drawn = folder / f".{seed}"
    for path in (drawn, folder / "scenes", folder / "labels"):
        path.mkdir(parents=True, exist_ok=True)
    write_scenes(drawn, frontier)
    for date, (scene, labels) in targets.items():
        scene_file(drawn, date).replace(scene)
        reference_file(drawn, date).replace(labels)
    drawn.rmdir()


if __name__ == "__main__":
    main()
