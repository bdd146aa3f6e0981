"""Panoptic quality of two maps with ids of objects, against torchmetrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import geoseg
from geoseg.accuracy.panoptic import Regions, panoptic
from geoseg.errors import GeosegError, InputError
from tests.raster.makers import write

LEGEND = {1: "grass", 2: "road", 4: "house", 9: "tree"}
THINGS, STUFF = {4, 9}, {1, 2}


def a_map(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(classes, ids): blobs of things on patches of stuff; ids are not in order."""
    rng = np.random.default_rng(seed)
    classes = np.kron(rng.choice([1, 2], (shape[0] // 15 + 1, shape[1] // 15 + 1)), np.ones((15, 15), int))
    classes = classes[: shape[0], : shape[1]].astype(np.uint8)
    blobs, n = ndimage.label(ndimage.gaussian_filter(rng.random(shape), 2.5) > 0.52)
    names = rng.permutation(n) + 5
    ids = np.where(blobs > 0, names[np.maximum(blobs, 1) - 1], 0).astype(np.uint32)
    kinds = rng.choice([4, 9], n)
    return np.where(blobs > 0, kinds[np.maximum(blobs, 1) - 1], classes).astype(np.uint8), ids


@pytest.fixture(params=range(3))
def maps(request: pytest.FixtureRequest) -> tuple[np.ndarray, ...]:
    """Reference and map that share much of their things, with void."""
    truth, ids = a_map(request.param, (150, 170))
    other, other_ids = a_map(request.param + 50, (150, 170))
    found, found_ids = np.roll(truth, 2, axis=1), np.roll(ids, 2, axis=1)
    part = np.s_[:, 100:]
    found[part], found_ids[part] = other[part], other_ids[part]
    found_ids[found_ids > 0] += 7
    truth[40:70, 60:100] = 255
    ids[truth == 255] = 0
    return truth, ids, found, found_ids


def test_quality_is_that_of_torchmetrics(maps: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchmetrics.detection")
    truth, ids, found, found_ids = maps
    paths = {
        name: write(tmp_path / f"{name}.tif", array, nodata=255 if array.dtype == np.uint8 else 0)
        for name, array in {"truth": truth, "ids": ids, "found": found, "found_ids": found_ids}.items()
    }
    scores = geoseg.evaluate(
        paths["found"],
        paths["truth"],
        legend=LEGEND,
        instances=paths["found_ids"],
        reference_instances=paths["ids"],
    )
    metric = detection.PanopticQuality(
        things=THINGS,
        stuffs=STUFF,
        allow_unknown_preds_category=True,
        return_sq_and_rq=True,
        return_per_class=True,
    )
    pairs = [
        torch.from_numpy(np.stack([c.astype(np.int64), i.astype(np.int64)], axis=-1))[None]
        for c, i in ((found, found_ids), (truth, ids))
    ]
    torch.set_default_dtype(torch.float64)  # in which it divides pixels by pixels
    try:
        quality = dict(zip((4, 9, 1, 2), metric(*pairs).numpy(), strict=True))
    finally:
        torch.set_default_dtype(torch.float32)
    for record in scores.per_class:
        pq, sq, rq = quality[record["id"]]
        assert record["pq"] == pytest.approx(pq, abs=1e-9)
        assert np.nan_to_num(record["sq"]) == pytest.approx(sq, abs=1e-9)  # there 0 without a match
        assert record["rq"] == pytest.approx(rq, abs=1e-9)
    assert 0 < quality[4][0] < 1
    overall = scores.overall
    assert overall["pq_things"] == pytest.approx(np.mean([quality[k][0] for k in THINGS]), abs=1e-9)
    assert overall["pq_stuff"] == pytest.approx(np.mean([quality[k][0] for k in STUFF]), abs=1e-9)
    assert overall["mean_pq"] == pytest.approx(np.mean([q[0] for q in quality.values()]), abs=1e-9)


def test_quality_of_things_and_stuff_needs_ids(maps: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    truth, _, found, _ = maps
    files = [write(tmp_path / f"{k}.tif", array, nodata=255) for k, array in enumerate((found, truth))]
    areas = geoseg.evaluate(*files, legend=LEGEND, objects=True)
    assert "mean_pq" in areas.overall and "pq_things" not in areas.overall


def test_void_is_no_part_of_a_union_and_excuses_what_lies_in_it() -> None:
    reference = Regions(size=np.array([10]), position=np.array([0]))
    mapped = Regions(size=np.array([19, 8]), position=np.array([0, 0]))
    found = panoptic(
        reference, mapped, (np.array([0]), np.array([0])), np.array([8]), 1, void=np.array([9, 5])
    )
    assert (found.matched[0], found.missed[0], found.extra[0]) == (1, 0, 0)
    assert found.iou[0] == pytest.approx(8 / 12)
    assert panoptic(reference, mapped, (np.array([0]), np.array([0])), np.array([8]), 1).extra[0] == 2


def test_ids_of_another_grid_are_refused(maps: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    truth, ids, _, _ = maps
    classes = write(tmp_path / "classes.tif", truth, nodata=255)
    same = write(tmp_path / "ids.tif", ids, nodata=0)
    smaller = write(tmp_path / "smaller.tif", ids[1:], nodata=0)
    with pytest.raises(InputError, match="not ids of objects on the grid"):
        geoseg.evaluate(classes, classes, legend=LEGEND, instances=smaller, reference_instances=same)
    with pytest.raises(GeosegError, match="go together"):
        geoseg.evaluate(classes, classes, legend=LEGEND, instances=same)
