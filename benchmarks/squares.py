"""Right angles on real buildings: traced, simplified and squared outlines against true footprints.

    python -m benchmarks.squares
    python -m benchmarks.squares --picture squares.png --of kampala --pixel 0.6

The footprints are polygons that people drew over aerial images (folder `GEOSEG_DATA`). They are burnt by the
share of each pixel that they cover. A clean map has a building where that is half or more. A worn one is
nearer to what a model leaves: the shares are blurred by a Gaussian of one pixel, with smooth noise on top,
before they are cut at a half. Each is vectorized exactly, with `--simplify`, and with `--simplify` and
`--square`; a tolerance is in pixels.

Scored are footprints that have one outline to themselves (those that touch become one region), by their
intersection over union with it. "width" is the median root of their areas in pixels. "gain" is the mean
change of the squared outlines alone against the traced ones, "worse" the share of them that lost.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine, from_origin
from scipy.ndimage import gaussian_filter

import geoseg

Polygons = NDArray[np.object_]

DATA = Path(os.environ.get("GEOSEG_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
WAYS = ("traced", "simplified", "squared")
_FINE = 8  # sub-pixels along a side, for the share that is covered
_NOISE = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprints:
    """One set of buildings.

    Attributes
    ----------
    path
        Vector file.
    pixel
        Metres of a pixel of its imagery, or a round number above it.
    crs
        To measure in; None is the file's.
    images
        Rasters that the footprints were drawn on, where the file spans more than one place.
    query
        Rows that are buildings; None is all.
    """

    path: str
    pixel: float
    crs: str | None = None
    images: tuple[str, ...] = ()
    query: str | None = None

    def places(self) -> list[Polygons]:
        """Footprints of each place."""
        frame = gpd.read_file(DATA / self.path)
        frame = frame if self.query is None else frame.query(self.query)
        frame = frame if self.crs is None else frame.to_crs(self.crs)
        parts = shapely.get_parts(shapely.make_valid(frame.geometry.to_numpy()))
        parts = parts[
            (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)
        ]
        if not self.images:
            return [parts]
        boxes = []
        for image in self.images:
            with rasterio.open(DATA / image) as source:
                boxes.append(shapely.box(*source.bounds))
        return [parts[shapely.contains(box, parts)] for box in boxes]


_MASSACHUSETTS = "nrcan_aerial_vectors/massachusetts"
SETS = {
    "massachusetts": Footprints(
        path=f"{_MASSACHUSETTS}/massachusetts_buildings.gpkg",
        pixel=1.0,
        images=(f"{_MASSACHUSETTS}/22978945_15.tif", f"{_MASSACHUSETTS}/23429155_15.tif"),
    ),
    "kampala": Footprints(path="oam_kampala_buildings/labels.geojson", pixel=0.3, crs="EPSG:32636"),
    "atlanta": Footprints(
        path="spacenet_samples/SN4_buildings_train_AOI_6_Atlanta_geojson_buildings_732701_3729639.geojson",
        pixel=0.5,
    ),
    "new brunswick": Footprints(
        path="nrcan_aerial_vectors/new_brunswick/BakerLake_2017_clipped.gpkg",
        pixel=0.5,
        crs="EPSG:32619",
        query="Quatreclasses == 4 or Quatreclasses == '4'",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Footprints with an outline to themselves, and their outlines in each of `WAYS`."""

    footprints: Polygons
    outlines: dict[str, Polygons]

    def overlaps(self, way: str) -> NDArray[np.float64]:
        """Intersection over union of each."""
        made = self.outlines[way]
        both = shapely.area(shapely.intersection(self.footprints, made))
        return np.asarray(both / (shapely.area(self.footprints) + shapely.area(made) - both))

    @property
    def squared(self) -> NDArray[np.bool_]:
        """Which outlines squaring changed."""
        return ~shapely.equals_exact(self.outlines["squared"], self.outlines["simplified"], 1e-9)


def burnt(
    footprints: Polygons, pixel: float, worn: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Affine]:
    """(map with 1 where a building is, its transform)."""
    left, below, right, above = shapely.total_bounds(footprints)
    # no footprint's corner on a pixel's corner
    left, above = left - (8 + rng.random()) * pixel, above + (8 + rng.random()) * pixel
    height, width = (int(np.ceil(n / pixel)) + 8 for n in (above - below, right - left))
    fine = rasterize(
        footprints,
        out_shape=(height * _FINE, width * _FINE),
        transform=from_origin(left, above, pixel / _FINE, pixel / _FINE),
        dtype="uint8",
    )
    share = fine.reshape(height, _FINE, width, _FINE).mean(axis=(1, 3))
    if worn:
        noise = gaussian_filter(rng.normal(size=share.shape), 1)
        share = gaussian_filter(share, 1) + _NOISE * noise / noise.std()
    return (share >= 0.5).astype(np.uint8), from_origin(left, above, pixel, pixel)


def vectorized(a: NDArray[np.uint8], transform: Affine, crs: object, tolerance: float) -> dict[str, Polygons]:
    """Outlines of all buildings of a map in each of `WAYS`, in the same order."""
    ways = dict(zip(WAYS, ({}, {"simplify": tolerance}, {"simplify": tolerance, "square": "1"}), strict=True))
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "map.tif")
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": 255}
        with rasterio.open(
            source, "w", height=a.shape[0], width=a.shape[1], crs=crs, transform=transform, **profile
        ) as file:
            file.write(a, 1)
        for way, options in ways.items():
            out = geoseg.vectorize(source, out=Path(folder, f"{way}.parquet"), only="1", **options).path
            made[way] = shapely.get_parts(gpd.read_parquet(out).geometry.to_numpy())
    return made


def matched(footprints: Polygons, outlines: dict[str, Polygons]) -> Scored:
    """Footprints and outlines that have each other alone."""
    traced = outlines["traced"]
    one, other = shapely.STRtree(traced).query(footprints, predicate="intersects")
    area = shapely.area(shapely.intersection(footprints[one], traced[other]))
    # what is covered by a tenth does not count as touched
    counts = area > 0.1 * np.minimum(shapely.area(footprints[one]), shapely.area(traced[other]))
    one, other = one[counts], other[counts]
    alone = (np.bincount(one, minlength=len(footprints))[one] == 1) & (
        np.bincount(other, minlength=len(traced))[other] == 1
    )
    chosen = {way: made[other[alone]] for way, made in outlines.items()}
    return Scored(footprints=footprints[one[alone]], outlines=chosen)


def score(of: Footprints, pixel: float, worn: bool, tolerance: float) -> tuple[int, Scored]:
    """(number of footprints, those that can be scored) over all places of a set."""
    rng = np.random.default_rng(0)
    places = of.places()
    crs = of.crs or gpd.read_file(DATA / of.path, rows=1).crs
    parts = []
    for footprints in places:
        a, transform = burnt(footprints, pixel, worn, rng)
        parts.append(matched(footprints, vectorized(a, transform, crs, tolerance * pixel)))
    whole = Scored(
        footprints=np.concatenate([p.footprints for p in parts]),
        outlines={way: np.concatenate([p.outlines[way] for p in parts]) for way in WAYS},
    )
    return sum(map(len, places)), whole


def corners(polygons: Polygons) -> float:
    """Mean number of corners."""
    rings = len(polygons) + shapely.get_num_interior_rings(polygons).sum()
    return float((shapely.get_num_coordinates(polygons).sum() - rings) / len(polygons))


def line(name: str, pixel: float, worn: bool, tolerance: float) -> str:
    """One line of the table."""
    total, scored = score(SETS[name], pixel, worn, tolerance)
    overlaps = {way: scored.overlaps(way) for way in WAYS}
    squared = scored.squared
    gain = (overlaps["squared"] - overlaps["traced"])[squared]
    width = np.median(np.sqrt(shapely.area(scored.footprints))) / pixel
    numbers = [
        f"{name} | {pixel:g} | {width:.0f} | {'worn' if worn else 'clean'}",
        f"{len(scored.footprints):,} of {total:,} | {squared.mean():.0%}",
        " | ".join(f"{overlaps[way].mean():.3f}" for way in WAYS),
        f"{gain.mean():+.3f} | {(gain < 0).mean():.0%}" if len(gain) else " | ",
        " | ".join(f"{corners(p):.1f}" for p in (scored.footprints, *scored.outlines.values())),
    ]
    return f"| {' | '.join(numbers)} |"


def draw(path: Path, name: str, pixel: float, worn: bool, tolerance: float) -> None:
    """The outlines of a place over the footprints (grey), where they are densest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    _, scored = score(SETS[name], pixel, worn, tolerance)
    centres = shapely.get_coordinates(shapely.centroid(scored.footprints))
    side = 120 * pixel
    near = (np.abs(centres[:, None] - centres[None]) < side / 2).all(axis=2).sum(axis=1)
    x, y = centres[near.argmax()]
    figure = Figure(figsize=(12, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for ax, way in zip(figure.subplots(1, 3), WAYS, strict=True):
        gpd.GeoSeries(scored.footprints).plot(ax=ax, color="#c8c8c8")
        gpd.GeoSeries(scored.outlines[way]).boundary.plot(ax=ax, color="#d00060", linewidth=1)
        shown = scored.overlaps(way).mean()
        ax.set_title(f"{way}: IoU {shown:.3f}, {corners(scored.outlines[way]):.1f} corners", fontsize=9)
        ax.set(
            xlim=(x - side / 2, x + side / 2),
            ylim=(y - side / 2, y + side / 2),
            xticks=[],
            yticks=[],
            xlabel="",
            ylabel="",
        )
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tolerance", type=float, default=1.5, help="pixels")
    parser.add_argument("--times", type=float, nargs="+", default=[1, 2, 4], help="of each set's pixel")
    parser.add_argument("--picture", type=Path, help="draw one place instead")
    parser.add_argument("--of", choices=SETS, default="kampala")
    parser.add_argument("--pixel", type=float, help="metres")
    parser.add_argument("--clean", action="store_true", help="draw the clean map, not the worn one")
    arguments = parser.parse_args()
    if arguments.picture is not None:
        pixel = arguments.pixel or SETS[arguments.of].pixel
        draw(arguments.picture, arguments.of, pixel, not arguments.clean, arguments.tolerance)
        return
    print("| set | pixel (m) | width | map | scored | squared | IoU traced | simplified | squared ", end="")
    print("| gain | worse | corners true | traced | simplified | squared |")
    print("|---" * 15 + "|")
    for name, of in SETS.items():
        for times in arguments.times:
            for worn in (False, True):
                print(line(name, times * of.pixel, worn, arguments.tolerance), flush=True)


if __name__ == "__main__":
    main()
