"""Crops: what they may see, how often they are drawn, what they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from geoseg.errors import InputError
from geoseg.geometry import Window
from geoseg.training.batches import Batches, ahead
from geoseg.training.job import TrainJob
from geoseg.training.light import Light
from geoseg.training.prepare import prepare
from geoseg.training.samples import Sampler, Source, index_cells, pad
from geoseg.training.split import Region, share_ground
from geoseg.training.targets import PixelTargets
from tests.training.makers import CLASSES, image_of, job, stripes, write


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A scene of 160 x 240 without a validation region."""
    folder = tmp_path_factory.mktemp("scene")
    return prepare(TrainJob.parse(job(folder))).sources[0]


def with_region(source: Source, shapes: list[object], margin: int) -> Source:
    region = Region(shapes=np.array(shapes, object), margin=margin)
    return Source(scene=source.scene, labels=source.labels, region=region)


@given(
    corners=st.lists(st.tuples(*[st.floats(0, s) for s in (240, 160)]), min_size=3, max_size=6),
    margin=st.integers(0, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_crop_touches_validation_pixels_or_their_margin(
    source: Source, corners: list[tuple[float, float]], margin: int, seed: int
) -> None:
    hull = shapely.convex_hull(shapely.multipoints(corners))
    if hull.geom_type != "Polygon" or hull.area < 1:
        return
    held = with_region(source, [hull], margin)
    try:
        index = index_cells([held], TARGETS, 32)
    except InputError:
        return  # nothing left to learn from
    forbidden = held.region.mask(held.scene.grid.window)
    if margin:
        forbidden = binary_dilation(forbidden, np.ones((2 * margin + 1,) * 2))
    sampler = Sampler([held], index, sampling="balanced", scale=0.5)
    for k in range(40):
        window = sampler.draw(np.random.default_rng([seed, k])).window
        assert held.scene.grid.window.contains(window)
        assert not forbidden[window.slices_in(held.scene.grid.window)].any()


LEGEND = TrainJob.parse({"scenes": [{"image": "a", "labels": "b"}], "out": "o", "classes": CLASSES}).legend
TARGETS = PixelTargets(legend=LEGEND)


def test_the_index_counts_every_label_once(source: Source) -> None:
    index = index_cells([with_region(source, [], 0)], TARGETS, 32)
    labels = source.labels.read(source.scene.grid.window)
    assert index.counts.sum(axis=0).tolist() == [int((labels == i).sum()) for i in LEGEND.ids]


@pytest.mark.parametrize(("sampling", "shares"), [("natural", None), ("balanced", [1 / 3] * 3)])
def test_classes_are_wanted_as_often_as_asked(
    source: Source, sampling: str, shares: list[float] | None
) -> None:
    index = index_cells([with_region(source, [], 0)], TARGETS, 32)
    total = index.counts.sum(axis=0)
    expected = total / total.sum() if shares is None else shares
    assert index.probabilities(sampling) == pytest.approx(expected)
    rare = index.probabilities("rare")
    assert np.all(np.diff(rare[np.argsort(total)]) <= 0)


def test_balanced_crops_hold_the_rare_class_more_often(source: Source) -> None:
    index = index_cells([with_region(source, [], 0)], TARGETS, 32)
    found = {}
    for sampling in ("natural", "balanced"):
        sampler = Sampler([source], index, sampling=sampling, scale=0.0)
        windows = [sampler.draw(np.random.default_rng([5, k])).window for k in range(300)]
        found[sampling] = np.mean([(source.labels.read(w) == 7).any() for w in windows])
    assert found["balanced"] > found["natural"] + 0.1


def test_a_scene_wholly_held_out_cannot_be_trained_on(source: Source) -> None:
    whole = with_region(source, [shapely.box(0, 0, 240, 160)], 0)
    with pytest.raises(InputError, match="no training crop can be drawn"):
        index_cells([whole], TARGETS, 32)


def test_crops_may_share_an_edge_with_the_region_but_no_pixel() -> None:
    region = Region(shapes=np.array([shapely.box(32, 0, 64, 64)], object))
    assert region.touches([Window(0, 0, 32, 32), Window(0, 1, 32, 32)]).tolist() == [False, True]
    wide = Region(shapes=region.shapes, margin=4)
    assert wide.touches([Window(0, 0, 32, 28), Window(0, 0, 32, 29)]).tolist() == [False, True]


def test_the_same_ground_in_another_scene_is_kept_away_from(tmp_path: Path) -> None:
    """Two dates of one place, the second at half the pixel size: both keep away from both regions."""
    labels = stripes(96, 96)
    fine = np.kron(labels, np.ones((2, 2))).astype(np.uint8)
    scenes = [
        {
            "image": str(write(tmp_path / f"i{n}.tif", image_of(a), pixel=p)),
            "labels": str(write(tmp_path / f"l{n}.tif", a, pixel=p)),
            "use": use,
        }
        for n, (a, p, use) in enumerate([(labels, 10, "training"), (fine, 5, "training")])
    ]
    part = write(tmp_path / "iv.tif", image_of(labels[:, :48]))
    held = {
        "image": str(part),
        "labels": str(write(tmp_path / "lv.tif", labels[:, :48])),
        "use": "validation",
    }
    fields = job(tmp_path, scenes=[*scenes, held], split={"by": "file"})
    preparation = prepare(TrainJob.parse(fields))
    sampler = Sampler(preparation.sources, preparation.index, sampling="natural", scale=0.2)
    drawn = [sampler.draw(np.random.default_rng(k)) for k in range(200)]
    assert {d.source for d in drawn} == {0, 1}
    assert min(d.window.col * (10, 5)[d.source] for d in drawn) >= 480
    assert {c.source for c in preparation.cores} == {2}


def test_regions_of_distant_scenes_do_not_meet(source: Source) -> None:
    from geoseg.geometry import Grid

    grid = source.scene.grid
    far = Grid(crs=grid.crs, transform=grid.transform.translation(1e6, 0) @ grid.transform, height=9, width=9)
    held = Region(shapes=np.array([shapely.box(0, 0, 9, 9)], object))
    _, other = share_ground([held, Region(shapes=np.empty(0, object))], [grid, far])
    assert not other.touches([Window(0, 0, 9, 9)])[0]


def test_a_batch_is_a_function_of_seed_and_step(tmp_path: Path) -> None:
    preparation = prepare(
        TrainJob.parse(job(tmp_path, augment={"noise": 0.1, "drop_band": 0.2, "haze": 0.2}))
    )
    one, two = Batches(preparation).at(7), Batches(preparation).at(7)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], Batches(preparation).at(8)[0])
    parts = [Batches(preparation, rank=r, world=2).at(7)[0] for r in range(2)]
    together = np.stack([parts[i % 2][i // 2] for i in range(4)])
    assert np.array_equal(together, one[0])
    found = list(ahead(Batches(preparation).at, 6, 9))
    assert np.array_equal(found[1][0], one[0]) and len(found) == 3


def test_pixels_are_normalised_as_the_engine_will(tmp_path: Path) -> None:
    """Without augmentation a crop is the scene's pixels, minus mean over deviation, and the labels there."""
    none = {"flips": False, "scale": 0, "gain": 0, "offset": 0}
    preparation = prepare(TrainJob.parse(job(tmp_path, augment=none)))
    sampler = Sampler(preparation.sources, preparation.index, sampling="balanced", scale=0.0)
    window = sampler.draw(np.random.default_rng([0, 1, 3, 0])).window
    pixels, classes = Batches(preparation).at(3)
    raw, _ = preparation.sources[0].scene.read(window)
    mean, std = (np.array(v)[:, None, None] for v in (preparation.contract.mean, preparation.contract.std))
    assert pixels[0].numpy() == pytest.approx((raw - mean) / std, abs=1e-4)
    labels = preparation.sources[0].labels.read(window)
    assert np.array_equal(np.array(LEGEND.ids)[classes[0].numpy()], labels)


def test_constants_are_those_of_the_training_windows(tmp_path: Path) -> None:
    preparation = prepare(TrainJob.parse(job(tmp_path)))
    index, scene = preparation.index, preparation.sources[0].scene
    stack = np.concatenate(
        [scene.read(Window(int(r), int(c), 32, 32))[0].reshape(2, -1) for r, c in index.home], axis=1
    ).astype(float)
    assert preparation.contract.mean == pytest.approx(stack.mean(axis=1))
    assert preparation.contract.std == pytest.approx(stack.std(axis=1))


@pytest.mark.parametrize(
    "light",
    [{"gain": 0, "offset": 0}, {"gain": 0.5, "contrast": 0.5, "gamma": 0.3, "haze": 0.5, "noise": 0.1}],
)
def test_nodata_is_filled_with_the_mean_in_any_light_and_not_learnt(
    tmp_path: Path, light: dict[str, float]
) -> None:
    fields = job(tmp_path)
    labels = stripes(160, 240)
    image = image_of(labels)
    image[:, :, 20:60] = 0
    write(Path(fields["scenes"][0]["image"]), image, nodata=0)
    preparation = prepare(TrainJob.parse(fields))
    batches = Batches(preparation)
    core = preparation.cores[0]
    x, truth = batches.core(core)
    assert x.shape == (1, 2, preparation.side, preparation.side) and truth.shape == core.window.shape
    bright = Light(gain=1.3, haze=0.1)
    assert np.array_equal(batches.core(core, bright)[0] == 0, x == 0) and (x == 0).any()
    lit = prepare(TrainJob.parse({**fields, "augment": {"flips": False, "scale": 0, **light}}))
    pixels, classes = (np.concatenate(p) for p in zip(*[Batches(lit).at(s) for s in range(10)], strict=True))
    empty = classes == 255
    assert empty.any()
    assert np.abs(pixels.transpose(0, 2, 3, 1)[empty]).max() < 1e-4


@given(h=st.integers(1, 9), w=st.integers(1, 9), side=st.integers(9, 20))
def test_padding_mirrors_pixels_and_has_no_labels(h: int, w: int, side: int) -> None:
    pixels = np.arange(h * w, dtype=np.float32).reshape(1, h, w)
    grown, classes = pad(pixels, np.zeros((h, w), np.uint8), side, 255)
    assert grown.shape == (1, side, side) and classes.shape == (side, side)
    expected = np.pad(pixels[0], ((0, side - h), (0, side - w)), mode="symmetric")
    assert np.array_equal(grown[0], expected)
    assert (classes == 0).sum() == h * w and (classes == 255).sum() == side * side - h * w
