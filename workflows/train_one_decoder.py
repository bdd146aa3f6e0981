"""Train one model for several tasks: land cover, buildings as objects, and what a click on one means.

    GEOSEG_DATA=/path/to/data python workflows/train_one_decoder.py configs/train_one_decoder.yaml

The data are those of buildings-rgb (drone scenes of OpenAerialMap, buildings of OpenStreetMap; averaged to
0.3 m here) and of urban-rgb (mosaics of Dubai). A training that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path

import click
from train_buildings import FOLDER, lay_out
from training_options import data_folder, training_command

_DUBAI = "dubai_hitl_aerial"


@training_command("configs/train_one_decoder.yaml")
@click.option(
    "--work", type=click.Path(path_type=Path), default="runs/several", help="For the coarser scenes."
)
def main(work: Path) -> Path:
    """Train, score every task on held-out places, and write the bundle with its card."""
    lay_out(data_folder() / FOLDER, work)
    if not (work / "dubai").exists():
        (work / "dubai").symlink_to((data_folder() / _DUBAI).absolute())
    return work


if __name__ == "__main__":
    main()
