"""Train the shipped click network by simulated clicks, and score it on buildings and areas it has not seen.

    GEOSEG_DATA=/path/to/data python workflows/train_clicks.py runs/clicks --encoder-weights FILE

FILE is what `workflows/encoder_weights.py` writes. Targets are building outlines (OpenStreetMap, drones),
areas of hand-drawn land cover (Dubai) and of forest maps (Amazon), each seen at a random scale and turn. A
training that was stopped goes on from its checkpoint. The bundle is ``runs/clicks/clicks-rgb``; with
``--no-train`` it is written from the checkpoint and ``scores.json`` that are there.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch
from click_network.card import CONTRACT, DECODER, ENCODER, NAME, card_of, described, samples
from click_network.learning import Course, train
from click_network.places import (
    BUILDINGS,
    DUBAI,
    HELD_BUILDINGS,
    HELD_DUBAI,
    building_places,
    cover_places,
    forest_places,
)
from click_network.scoring import by_network, score_all, score_in_lights
from click_network.windows import WINDOW
from training_options import data_folder

from geoseg.models.bundle import save_bundle
from geoseg.models.clicks import Clicks
from geoseg.models.encoder_weights import load_encoder


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--encoder-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--steps", type=int, default=3000, show_default=True)
@click.option("--objects", type=int, default=60, show_default=True, help="Scored of each held-out place.")
@click.option(
    "--train/--no-train", "training", default=True, help="Whether to train, or take the checkpoint."
)
def main(out: Path, encoder_weights: Path | None, steps: int, objects: int, training: bool) -> None:
    """Train into OUT, with a checkpoint every 50 steps, then score and write the bundle."""
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    data, checkpoint, scored = data_folder(), out / "checkpoint.pt", out / "scores.json"
    network = Clicks(encoder=ENCODER, bands=3, decoder_channels=list(DECODER), side=WINDOW)
    if training:
        if encoder_weights is None:
            raise click.UsageError("--encoder-weights is needed to train.")
        load_encoder(network, encoder_weights)
        kinds = {
            "buildings": building_places(data, BUILDINGS),
            "cover": cover_places(data, DUBAI),
            "forest": forest_places(data),
        }
        train(network, kinds, checkpoint, Course(steps=steps))
    else:
        network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    network.eval()
    buildings, areas = building_places(data, HELD_BUILDINGS), cover_places(data, HELD_DUBAI)
    held = {
        "buildings of Kampala at 0.15 m": (buildings, 1.0),
        "buildings of Kampala at 0.3 m": (buildings, 2.0),
        "areas of land cover, Dubai": (areas, 1.0),
    }
    if training or not scored.exists():
        found = {name: score_all(network, places, scale, objects) for name, (places, scale) in held.items()}
        scored.write_text(json.dumps(found, indent=1))
    scores = json.loads(scored.read_text())
    click.echo(json.dumps(scores, indent=1))
    lights = score_in_lights(network, held, objects, CONTRACT)
    model = described(scores, lights)
    made = save_bundle(
        out / NAME,
        network,
        model,
        half=True,
        overwrite=True,
        card=card_of(model, scores, lights),
        files={
            "samples.jpg": samples(by_network(network), [(buildings, 1.0), (buildings, 2.0), (areas, 1.0)])
        },
    )
    click.echo(made.path)


if __name__ == "__main__":
    main()
