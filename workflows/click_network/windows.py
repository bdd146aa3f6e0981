"""Windows of places as the network sees them: scaled, turned, lit in another way, normalised."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from click_network.places import Place, Target
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the field's name)

WINDOW = 128
"""Side in pixels of the windows in which the network answers."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of values from 0 to 1."""


def window_of(
    place: Place,
    target: Target,
    *,
    centre: tuple[float, float],
    scale: float,
    side: int,
    turn: tuple[float, bool] = (0, False),
    lit: Callable[[Tensor], Tensor] = lambda image: image,
) -> tuple[Tensor, Tensor]:
    """(image (3, side, side) normalised, mask (side, side) bool) around a point of the first image.

    One pixel of the window is `scale` of the first image's; outside the image there is 0.
    """
    level = int(np.clip(np.floor(np.log2(max(scale, 1.0))), 0, len(place.images) - 1))
    image, numbers = place.images[level], place.numbers[level]
    scale = scale / 2**level
    row, col = (c / 2**level for c in centre)
    reach = int(np.ceil(side * scale * 0.72)) + 2
    r0, c0 = int(row) - reach, int(col) - reach
    r1, c1 = r0 + 2 * reach, c0 + 2 * reach
    inside = (
        slice(max(r0, 0), max(min(r1, image.shape[1]), 0)),
        slice(max(c0, 0), max(min(c1, image.shape[2]), 0)),
    )
    put = (slice(inside[0].start - r0, inside[0].stop - r0), slice(inside[1].start - c0, inside[1].stop - c0))
    part = torch.zeros((5, 2 * reach, 2 * reach))
    part[(slice(0, 3), *put)] = image[(slice(None), *inside)].float()
    part[(3, *put)] = 1
    part[(4, *put)] = (numbers[inside] == target.number).float()
    angle, flipped = turn
    cos, sin = np.cos(angle), np.sin(angle)
    grow = side * scale / (2 * reach)
    # torch's grid: x right, y down, -1 to 1 over the part
    shift = ((col - c0) / reach - 1, (row - r0) / reach - 1)
    flip = -1 if flipped else 1
    theta = torch.tensor(
        [[[flip * cos * grow, -sin * grow, shift[0]], [flip * sin * grow, cos * grow, shift[1]]]],
        dtype=torch.float32,
    )
    grid = F.affine_grid(theta, [1, 1, side, side], align_corners=False)
    out = F.grid_sample(part[None], grid, mode="bilinear", align_corners=False)[0]
    valid = out[3] > 0.99
    return normalised(lit(out[:3] / 255)) * valid, (out[4] > 0.5) & valid


def normalised(image: Tensor) -> Tensor:
    """Image as the encoder takes it."""
    return (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def light_of(rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
    """A random change of light, or none."""
    if rng.random() < 0.2:
        return lambda image: image
    gain = torch.from_numpy(rng.uniform(0.75, 1.3) * rng.uniform(0.9, 1.1, (3, 1, 1))).float()
    shift = rng.uniform(-0.1, 0.1)
    return lambda image: (image * gain + shift).clamp(0, 1)
