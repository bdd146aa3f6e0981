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
from training_options import training_command

from geoseg.demo.files import DATES, reference_file, scene_file, write_scenes
from geoseg.demo.frontier import DEMO_SEED, make_frontier

SEEDS = {"training": range(100, 116), "held-out": range(300, 304)}
SHAPE = (1024, 1152)


@training_command("configs/train_demo.yaml")
@click.option("--work", type=click.Path(path_type=Path), default="runs/demo", help="For the scenes.")
def main(work: Path) -> Path:
    """Draw the scenes, train, score on the held-out ones, and write the bundle with its card."""
    for use, seeds in SEEDS.items():
        for seed in seeds:
            draw(seed, work / use)
    return work


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
