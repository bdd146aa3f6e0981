"""Train a shipped model from its configuration; paths of scenes are below GEOSEG_DATA.

    GEOSEG_DATA=/path/to/data python workflows/train_model.py configs/train_urban.yaml

It is `geoseg train CONFIG --data $GEOSEG_DATA` with the number of threads that the shipped weights were made
with, since another number rounds differently. A training that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path

from training_options import data_folder, training_command


@training_command()
def main() -> Path:
    """Train, score on the held-out part, and write the bundle with its card."""
    return data_folder()


if __name__ == "__main__":
    main()
