"""Baselines against hand-computed values, scikit-learn and scikit-image; and that chunks cannot show."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from skimage.filters import threshold_multiotsu, threshold_otsu
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier

import geoseg
from geoseg.baselines.forest import forest_arrays
from geoseg.baselines.indices import INDICES, IndexName, name_bands, role_of
from geoseg.baselines.sample import MOST_PIXELS, sample_scene, sample_windows
from geoseg.cli.main import cli
from geoseg.engines.choice import EngineChoice
from geoseg.engines.opening import open_engine
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.models.architectures import Architecture
from geoseg.models.network import fill_network

from . import places

METHODS = {
    "ndvi": {},
    "evi": {"classes": 3, "scale": 1e-4},
    "kmeans": {"classes": 3},
    "forest": {"trees": 7, "field": "kind"},
    "watershed": {"regions": "watershed"},
    "canny": {"regions": "canny"},
    "slic": {"regions": "slic"},
    "felzenszwalb": {"regions": "felzenszwalb"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    classes = places.truth()
    image = places.pixels(classes)
    image[:, 20:40, 50:90] = 0  # no data
    places.write(folder / "scene.tif", image)
    places.polygons(folder / "labels.gpkg", classes)
    places.polygons(folder / "points.gpkg", classes, points=True)
    return folder


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read().squeeze()


def made(place: Path, name: str, out: Path, **more):
    options = {**METHODS.get(name, {}), **more}
    method = "kmeans" if "regions" in METHODS.get(name, {}) else name
    if method == "forest":
        options["labels"] = place / options.pop("labels", "labels.gpkg")
    return geoseg.fit(method, place / "scene.tif", out=out, **options)


def reflectances(values: np.ndarray, roles: tuple[str, ...] = places.NAMES) -> dict[str, np.ndarray]:
    return dict(zip(roles, values.astype(np.float64), strict=True))


BY_HAND = {
    "ndvi": lambda b: (b["nir"] - b["red"]) / (b["nir"] + b["red"]),
    "ndwi": lambda b: (b["green"] - b["nir"]) / (b["green"] + b["nir"]),
    "mndwi": lambda b: (b["green"] - b["swir1"]) / (b["green"] + b["swir1"]),
    "ndbi": lambda b: (b["swir1"] - b["nir"]) / (b["swir1"] + b["nir"]),
    "nbr": lambda b: (b["nir"] - b["swir2"]) / (b["nir"] + b["swir2"]),
    "evi": lambda b: 2.5 * (b["nir"] - b["red"]) / (b["nir"] + 6 * b["red"] - 7.5 * b["blue"] + 1),
}


@pytest.mark.parametrize("name", INDICES)
def test_an_index_is_its_papers_formula(name):
    import torch

    roles = (*places.NAMES, "swir2")
    values = np.random.default_rng(3).uniform(0.01, 0.6, (6, 8, 9)).astype(np.float32)
    numerator, denominator = INDICES[name].weights(roles)
    network = fill_network(
        Architecture(name="spectral_index"),
        {
            "numerator": numerator,
            "denominator": denominator,
            "thresholds": np.zeros(1, np.float32),
            "steepness": np.ones(1, np.float32),
        },
        bands=6,
        classes=2,
    )
    found = network.index(torch.from_numpy(values[None]))[0].numpy()
    np.testing.assert_allclose(found, BY_HAND[name](reflectances(values, roles)), rtol=3e-5, atol=1e-6)


def test_every_index_can_be_chosen_and_stands_on_the_page():
    page = (Path(geoseg.__file__).parent.parent / "docs" / "baselines.md").read_text(encoding="utf-8")
    assert get_args(IndexName) == tuple(INDICES)
    for name, index in INDICES.items():
        assert re.search(rf"^\| {name.upper()} \| [^|]+ \| {re.escape(index.source)} \|$", page, re.MULTILINE)


def test_a_denominator_of_zero_is_no_nan(place, tmp_path):
    bundle = made(place, "ndvi", tmp_path / "m", threshold=[0.2])
    raw = np.zeros((1, 5, 32, 32), np.uint16)
    labels, confidence = open_engine(bundle, EngineChoice(threads=1)).classify(raw)
    assert (labels == 1).all() and (confidence <= 100).all()


@pytest.mark.parametrize(("classes", "oracle"), [(2, threshold_otsu), (3, threshold_multiotsu)])
def test_otsu_and_labels_are_those_of_scikit_image(place, tmp_path, classes, oracle):
    bundle = made(place, "ndvi", tmp_path / "m", classes=classes)
    image = read(place / "scene.tif")
    valid = (image != 0).all(axis=0)
    index = BY_HAND["ndvi"](reflectances(image[:, valid]))
    cuts = np.atleast_1d(oracle(index, **({} if classes == 2 else {"classes": classes})))
    out = geoseg.predict(place / "scene.tif", model=bundle.path, out=tmp_path / "o")
    labels = read(out.classes)
    np.testing.assert_array_equal(labels[valid], 1 + (index[:, None] > cuts).sum(axis=1))
    assert (labels[~valid] == 255).all()


def test_a_value_at_the_threshold_belongs_below_and_is_half_sure(tmp_path):
    red = np.full((64, 64), 7, np.uint8)
    nir = np.where(np.arange(64) % 2, 13, 14).astype(np.uint8) * np.ones((64, 1), np.uint8)
    scene = places.write(tmp_path / "s.tif", np.stack([red, nir]), names=("red", "nir"))
    bundle = geoseg.fit("ndvi", scene, out=tmp_path / "m", threshold=[0.3])  # (13 - 7) / 20
    out = geoseg.predict(scene, model=bundle.path, out=tmp_path / "o")
    labels, confidence = read(out.classes), read(out.confidence)
    assert (labels[nir == 13] == 1).all() and (labels[nir == 14] == 2).all()
    assert (confidence[nir == 13] == 50).all() and (confidence[nir == 14] > 50).all()


def test_scale_and_offset_reach_evi(place, tmp_path):
    image = read(place / "scene.tif")
    shifted = places.write(tmp_path / "s.tif", np.where(image == 0, 0, image + 1000).astype(np.uint16))
    a = geoseg.fit("evi", place / "scene.tif", out=tmp_path / "a", scale=1e-4, threshold=[0.3])
    b = geoseg.fit("evi", shifted, out=tmp_path / "b", scale=1e-4, offset=-0.1, threshold=[0.3])
    first = geoseg.predict(place / "scene.tif", model=a.path, out=tmp_path / "oa")
    second = geoseg.predict(shifted, model=b.path, out=tmp_path / "ob")
    assert (read(first.classes) != read(second.classes)).mean() < 1e-4
    assert len(np.unique(read(first.classes))) == 3


def test_scale_and_offset_tags_are_read_and_kept_in_the_bundle(tmp_path):
    """Reflectances stored as Landsat Collection 2 stores them give their own index."""
    truth = np.kron(np.arange(1, 4, dtype=np.uint8), np.ones((60, 60), np.uint8))
    reflectance = places.pixels(truth) / 10_000
    tagged = places.write(tmp_path / "l8.tif", np.round((reflectance + 0.2) / 2.75e-5).astype(np.uint16))
    with rasterio.open(tagged, "r+") as file:
        file.scales, file.offsets = (2.75e-5,) * 5, (-0.2,) * 5
    bundle = geoseg.fit("ndvi", tagged, bands="red,nir", threshold=[0.3], out=tmp_path / "ndvi")
    assert (bundle.contract.scale, bundle.contract.offset) == (2.75e-5, -0.2)
    made = geoseg.predict(tagged, model=bundle.path, bands="red,nir", out=tmp_path / "out")
    red, nir = reflectance[2], reflectance[3]
    index = (nir - red) / (nir + red)
    sure = np.abs(index - 0.3) > 0.001
    np.testing.assert_array_equal(read(made.classes)[sure], np.where(index > 0.3, 2, 1)[sure])
    manifest = json.loads(made.manifest.read_text())
    assert manifest["identity"]["scene"]["scaling"] == [[2.75e-5, -0.2]] * 2
    own = geoseg.fit("ndvi", tagged, bands="red,nir", threshold=[0.3], scale=1e-4, out=tmp_path / "own")
    assert (own.contract.scale, own.contract.offset) == (1e-4, 0.0)
    with rasterio.open(tagged, "r+") as file:
        file.scales = (2.75e-5,) * 4 + (1.0,)
    with pytest.raises(InputError, match="mean different things"):
        geoseg.fit("mndwi", tagged, bands="green,swir1", threshold=[0.3], out=tmp_path / "refused")


def test_clusters_are_those_of_scikit_learn_from_dark_to_bright(place, tmp_path):
    bundle = made(place, "kmeans", tmp_path / "m")
    image = read(place / "scene.tif")
    valid = (image != 0).all(axis=0)
    x = image[:, valid].T.astype(float)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    oracle = KMeans(3, n_init=5, random_state=7).fit(x)  # three clear clusters: any seed finds them
    rank = np.argsort(np.argsort(oracle.cluster_centers_.mean(axis=1)))
    out = geoseg.predict(place / "scene.tif", model=bundle.path, out=tmp_path / "o", precision="bf16")
    assert (read(out.classes)[valid] == rank[oracle.labels_] + 1).mean() > 0.9999
    assert bundle.legend.names == ("cluster 1", "cluster 2", "cluster 3")


@pytest.mark.parametrize("depth", [1, 4, None])
def test_a_forests_probabilities_are_scikit_learns(depth):
    import torch

    rng = np.random.default_rng(depth or 9)
    x = rng.integers(0, 40, (3000, 4)).astype(np.float32)
    x[:, 3] = rng.normal(0, 1, 3000)  # thresholds of floats are doubles
    y = np.array([2, 5, 6, 9])[(x[:, 0] // 12 + (x[:, 3] > 0)).astype(int) % 4]
    forest = RandomForestClassifier(11, max_depth=depth, random_state=0, class_weight="balanced").fit(
        x, np.searchsorted([2, 5, 6, 9], y)
    )
    weights = forest_arrays(forest, 4)
    network = fill_network(
        Architecture(
            name="random_forest",
            arguments={
                "nodes": weights["feature"].shape[1],
                "depths": [e.tree_.max_depth for e in forest.estimators_],
            },
        ),
        weights,
        bands=4,
        classes=4,
    )
    # values on the thresholds themselves too, and their neighbours
    tested = np.concatenate([x, rng.integers(0, 80, (5000, 4)).astype(np.float32) / 2])
    edges = np.concatenate([e.tree_.threshold[e.tree_.feature >= 0] for e in forest.estimators_])
    for step in (-np.inf, 0, np.inf):
        near = edges.astype(np.float32)
        near = np.nextafter(near, np.float32(step)) if step else near
        tested = np.concatenate([tested, np.repeat(near[:, None], 4, axis=1)])
    tested = tested[: len(tested) // 32 * 32]
    image = torch.from_numpy(np.ascontiguousarray(tested.T.reshape(1, 4, -1, 32)))
    found = torch.softmax(network(image), dim=1)[0].reshape(4, -1).T.numpy()
    np.testing.assert_allclose(found, forest.predict_proba(tested), atol=2e-6)


def test_a_forest_from_polygons_finds_the_classes_and_says_how_it_was_scored(place, tmp_path):
    bundle = made(place, "forest", tmp_path / "m")
    assert bundle.legend.names == ("field", "forest", "water")
    assert bundle.scores["overall_accuracy"] > 0.99
    assert "35 features, each held out whole" in bundle.scores["data"]
    out = geoseg.predict(place / "scene.tif", model=bundle.path, out=tmp_path / "o")
    labels, known = read(out.classes), places.truth()
    valid = labels != 255
    assert (np.array([0, 3, 1, 2])[known[valid]] == labels[valid]).mean() > 0.99
    card = (bundle.path / "README.md").read_text()
    assert "cross-validation by feature" in card and "Out of bag" in card
    assert "| features | pixels | IoU | F1 | precision | recall |" in card and "Mean IoU **" in card


def test_held_out_polygons_are_harder_than_held_out_pixels(tmp_path):
    """Every polygon has a colour of its own, classes are drawn by lot: one says nothing of another."""
    classes = places.truth()
    blocks = np.kron(np.random.default_rng(5).integers(500, 9000, (5, 7)), np.ones((30, 30), int))
    image = np.repeat(blocks[None], 2, axis=0) + np.random.default_rng(1).integers(0, 30, (2, 150, 210))
    scene = places.write(tmp_path / "s.tif", image.astype(np.uint16), names=("a", "b"))
    places.polygons(tmp_path / "l.gpkg", classes)
    bundle = geoseg.fit(
        "forest", scene, out=tmp_path / "m", labels=tmp_path / "l.gpkg", field="kind", trees=15
    )
    card = (bundle.path / "README.md").read_text()
    out_of_bag = float(card.split("accuracy would be ")[1].split(".\n")[0].rstrip("."))
    assert out_of_bag > 0.95
    assert bundle.scores["overall_accuracy"] < 0.6


def test_points_crosswalk_and_numbers_as_classes(place, tmp_path):
    bundle = made(
        place, "forest", tmp_path / "m", labels="points.gpkg",
        crosswalk={"water": "wet", "field": "dry", "forest": "dry"},
    )  # fmt: skip
    assert bundle.legend.names == ("wet", "dry")
    assert bundle.scores["overall_accuracy"] > 0.9


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller place: of six tiles of 64."""
    folder = tmp_path_factory.mktemp("corner")
    classes = places.truth(100, 130)
    image = places.pixels(classes)
    image[:, 20:40, 50:90] = 0  # no data
    places.write(folder / "scene.tif", image)
    places.polygons(folder / "labels.gpkg", classes)
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_chunks_cannot_show(corner, tmp_path, name):
    bundle = made(corner, name, tmp_path / "m")
    again = made(corner, name, tmp_path / "again")
    assert bundle.weights_sha256 == again.weights_sha256
    tiles = {"tile": 192, "margin": 64} if bundle.regions else {"tile": 64}
    maps = []
    for chunk in (64, 4096):
        out = geoseg.predict(
            corner / "scene.tif", model=bundle.path, out=tmp_path / str(chunk), chunk=chunk, **tiles
        )
        maps.append((read(out.classes), read(out.confidence)))
    np.testing.assert_array_equal(*(labels for labels, _ in maps))
    np.testing.assert_array_equal(*(confidence for _, confidence in maps))
    assert len(np.unique(maps[0][0])) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["forest", "slic"])
def test_two_processes_give_the_same_map(place, tmp_path, name):
    bundle = made(place, name, tmp_path / "m")
    results = [
        read(
            geoseg.predict(
                place / "scene.tif", model=bundle.path, out=tmp_path / str(w), chunk=64, workers=w, threads=1
            ).classes
        )
        for w in (0, 2)
    ]
    np.testing.assert_array_equal(*results)


def test_the_sample_is_spread_and_bounded():
    windows = list(sample_windows(30_000, 20_000, seed=0))
    assert len(windows) <= 1100 and all(w.shape == (64, 64) for w in windows)
    rows, cols = ({w.row // 3000 for w in windows}, {w.col // 2000 for w in windows})
    assert len(rows) == 10 and len(cols) == 10
    assert (
        windows
        == list(sample_windows(30_000, 20_000, seed=0))
        != list(sample_windows(30_000, 20_000, seed=1))
    )
    small = list(sample_windows(100, 130, seed=4))
    covered = np.zeros((100, 130), int)
    for w in small:
        covered[w.row : w.row_end, w.col : w.col_end] += 1
    assert (covered == 1).all()


def test_a_scene_that_is_small_is_sampled_whole(place):
    scene = geoseg.open_scene(place / "scene.tif")
    sample = sample_scene(scene, seed=0)
    assert sample.looked_at == 150 * 210 < MOST_PIXELS
    assert len(sample.values) == 150 * 210 - 20 * 40


@pytest.mark.parametrize(
    ("name", "role"),
    [("NIR", "nir"), ("near-infrared", "nir"), ("B08", "nir"), ("B4", None), ("band 4", None),
     ("665 nm", "red"), ("Band 5 (0.865 um)", "nir"), ("1610.4 nanometers", "swir1"), ("700 nm", None)],
)  # fmt: skip
def test_roles_are_found_by_name_or_wavelength(name, role):
    assert role_of(name) == role


def test_a_role_of_two_bands_is_left_to_neither():
    assert name_bands(["842 nm", "865 nm", "red"], [None] * 3) == ("842 nm", "865 nm", "red")
    assert name_bands(["842 nm", "865 nm", "red"], [None, "nir", None]) == ("842 nm", "nir", "red")


@pytest.mark.parametrize(
    ("method", "options", "error", "says"),
    [
        ("nbr", {}, UsageError, "nbr needs a band swir2.*Try: `bands=nir=NUMBER,swir2=NUMBER`"),
        ("ndvi", {"bands": ["red=3"]}, UsageError, "ndvi needs a band nir"),
        ("ndvi", {"bands": ["red=9", "nir=4"]}, UsageError, "no band 9"),
        ("evi", {}, UsageError, "evi needs reflectance.*`scale=0.0001`"),
        ("ndvi", {"threshold": [0.4, 0.1]}, UsageError, "thresholds have to ascend"),
        ("ndvi", {"threshold": [0.4], "classes": 3}, UsageError, "1 thresholds make 2 classes, not 3"),
        ("ndvi", {"classes": 9}, UsageError, "at most 5 classes"),
        ("kmeans", {"threshold": [0.4]}, UsageError, "threshold belongs to ndvi"),
        ("kmeans", {"trees": "x"}, UsageError, "'trees'"),
        ("forest", {}, UsageError, "needs labels, and the field"),
        ("forest", {"labels": "labels.gpkg", "field": "klass"}, UsageError, "no field 'klass'.*are kind"),
        ("forest", {"labels": "labels.gpkg", "field": "kind", "crosswalk": {"water": "w", "field": "f"}},
         InputError, "values without a class.*'forest'"),
        ("model", {"model": "demo-frontier"}, UsageError, "needs a model, and regions"),
        ("kmeans", {"regions": "slic", "region_parameters": {"k": 3}}, UsageError, "no parameter 'k'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(place, tmp_path, method, options, error, says):
    if "labels" in options:
        options = {**options, "labels": place / options["labels"]}
    with pytest.raises(error, match=f"(?s){says}"):
        geoseg.fit(method, place / "scene.tif", out=tmp_path / "m", **options)
    assert list(tmp_path.iterdir()) == []


def test_scenes_with_nothing_to_learn(tmp_path):
    flat = places.write(tmp_path / "flat.tif", np.full((2, 40, 40), 9, np.uint8), names=("red", "nir"))
    with pytest.raises(InputError, match=r"ndvi does not vary.*found 0 everywhere"):
        geoseg.fit("ndvi", flat, out=tmp_path / "m")
    with pytest.raises(InputError, match=r"a band is constant.*band red is 9"):
        geoseg.fit("kmeans", flat, out=tmp_path / "m")
    image = np.zeros((2, 40, 40), np.uint8)
    image[:, :3, :3] = 5
    empty = places.write(tmp_path / "empty.tif", image, names=("red", "nir"))
    with pytest.raises(InputError, match=r"too few valid pixels.*9 of 1600 sampled"):
        geoseg.fit("kmeans", empty, out=tmp_path / "m")


def test_a_bundle_that_is_there_is_not_overwritten(place, tmp_path):
    made(place, "ndvi", tmp_path / "m")
    with pytest.raises(OutputConflictError, match="`overwrite`"):
        made(place, "ndvi", tmp_path / "m")
    made(place, "ndvi", tmp_path / "m", overwrite=True)


def test_the_command_fits_shows_and_predicts(place, tmp_path):
    run = CliRunner()
    scene, model = str(place / "scene.tif"), str(tmp_path / "m")
    done = run.invoke(
        cli,
        ["fit", "ndvi", scene, "--bands", "red=3,nir=4", "--threshold", "0.1", "--threshold", "0.6",
         "--regions", "slic", "--region", "spacing=16", "--out", model],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "1 NDVI up to 0.1, 2 NDVI 0.1 to 0.6, 3 NDVI above 0.6" in done.output
    assert f"--model {model} --bands 3,4" in done.output
    shown = run.invoke(cli, ["model", "show", model]).output
    for text in (
        "Rouse et al. 1974",
        "slic (spacing 16, compactness 0.5, sigma 0.5)",
        "margin 64 px",
        "red",
        "nir",
    ):
        assert text in shown
    out = geoseg.predict(scene, model=model, bands="3,4", out=tmp_path / "o")
    assert set(np.unique(read(out.classes))) >= {1, 3}


def whole(place, tmp_path, **options):
    import geopandas

    frame = geopandas.read_file(place / options.pop("labels", "labels.gpkg"))
    return frame, lambda own: geoseg.fit(
        "forest", place / "scene.tif", out=tmp_path / "m", labels=own, field="kind", trees=5, overwrite=True,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("labels", ["labels.gpkg", "points.gpkg"])
def test_one_feature_per_class_is_fitted_without_a_score(place, tmp_path, labels):
    frame, fit = whole(place, tmp_path, labels=labels)
    frame.dissolve("kind").reset_index().to_file(tmp_path / "one.gpkg")
    bundle = fit(tmp_path / "one.gpkg")
    assert bundle.scores == {} and len(bundle.legend) == 3
    card = (bundle.path / "README.md").read_text()
    assert card.count("No cross-validation was possible") == 2
    result = CliRunner().invoke(
        cli, ["fit", "forest", str(place / "scene.tif"), "--labels", str(tmp_path / "one.gpkg"), "--field",
               "kind", "--trees", "3", "--out", str(tmp_path / "c")]
    )  # fmt: skip
    assert result.exit_code == 0 and "No cross-validation was possible" in result.output


def test_a_class_without_a_pixel_is_named_and_left_out(place, tmp_path):
    import pandas
    from shapely.geometry import box

    frame, fit = whole(place, tmp_path)
    x, y = places.TRANSFORM.c, places.TRANSFORM.f
    tiny = frame.iloc[:1].assign(kind="well", geometry=[box(x + 1, y - 4, x + 4, y - 1)])
    pandas.concat([frame, tiny]).to_file(tmp_path / "tiny.gpkg")
    bundle = fit(tmp_path / "tiny.gpkg")
    assert "well" not in bundle.legend.names
    card = (bundle.path / "README.md").read_text()
    assert f"class 'well' is not learnt: feature {len(frame) + 1} holds no centre of a valid pixel" in card
    _, fit = whole(place, tmp_path, all_touched=True)
    assert "well" in fit(tmp_path / "tiny.gpkg").legend.names


def test_blank_text_and_spellings_of_one_name(place, tmp_path):
    frame, fit = whole(place, tmp_path)
    frame.loc[0, "kind"] = "  "
    frame.loc[1, "kind"] = f" {frame.loc[1, 'kind'].upper()}"
    frame.to_file(tmp_path / "text.gpkg")
    bundle = fit(tmp_path / "text.gpkg")
    assert set(bundle.legend.names) == {"water", "field", "forest"}
    card = (bundle.path / "README.md").read_text()
    assert "1 of" in card and "have no value" in card and "text.gpkg counted as" in card


def test_overlapping_training_polygons_say_their_hectares(place, tmp_path):
    frame, fit = whole(place, tmp_path)
    frame.geometry = frame.buffer(120)
    frame.to_file(tmp_path / "over.gpkg")
    card = (fit(tmp_path / "over.gpkg").path / "README.md").read_text()
    assert "lie in polygons of different classes; the later feature in the file wins" in card
    _, fit = whole(place, tmp_path, overlap="refuse")
    with pytest.raises(InputError, match="lie in polygons of different classes"):
        fit(tmp_path / "over.gpkg")
