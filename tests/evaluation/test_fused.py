"""Scoring inside another task gives the same counts, and travels between processes."""

from __future__ import annotations

import pickle

import numpy as np
from shapely.geometry import box

from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.evaluation.fused import ChunkScorer
from geoseg.evaluation.job import ReferenceJob
from geoseg.evaluation.verb import evaluate
from geoseg.raster.classmap import open_class_map


def test_fused_over_chunks_equals_the_verb(make_map, make_vector):
    labels = np.random.default_rng(2).choice(np.array([1, 2, 3, 255], np.uint8), (50, 60))
    path = make_map(labels)
    polygons = make_vector([box(3, 4, 40, 33), box(45, 0, 60, 50)], {"cover": ["Wald", None]})
    options = {"crosswalk": {"Wald": "forest", None: "ignore"}, "background": "water"}
    class_map = open_class_map(path)
    job = ReferenceJob.parse({"reference": polygons, **options})
    scorer = ChunkScorer(job=job, grid=class_map.grid, legend=class_map.legend)
    travelled = pickle.loads(pickle.dumps(scorer))
    parts = [travelled(w, class_map.read(w)) for w in class_map.grid.window.blocks(17, 23)]
    total = ConfusionMatrix.sum(parts, class_map.legend)
    assert total == evaluate(path, polygons, **options).matrix
    assert total.scored > 1000


def test_one_band_of_several(shared_data):
    path = shared_data / "landcover_maps_large" / "above_annual_landcover_31yr.tif"
    scores = evaluate(path, path, band=1, reference_band=31)
    first, last = (open_class_map(path, band=b) for b in (1, 31))
    one, other = first.read(first.grid.window), last.read(last.grid.window)
    both = (one != 255) & (other != 255)
    assert scores.matrix.scored == both.sum()
    assert scores.overall["overall_accuracy"] == (one == other)[both].mean()
