"""Classes on a grid: one way in for whatever a map is scored against or a model learns from.

`open_truth` asks every question once, whoever asks: which value is which class, what has none, which of two
overlapping polygons wins, where the layer lies. The answers are read window by window, in global pixel
coordinates of the grid, so that the sum over any set of windows that cover it is the same.
"""

from __future__ import annotations

from geoseg.errors import UsageError
from geoseg.geometry import Grid
from geoseg.legend import Legend
from geoseg.raster.datasource import is_vector
from geoseg.raster.reading import called
from geoseg.truth.features import open_features
from geoseg.truth.layer import Truth, TruthFile
from geoseg.truth.pixels import open_pixels

_OF_VECTORS = ("field", "layer", "single_class", "background")


def open_truth(file: TruthFile, grid: Grid, legend: Legend | None) -> Truth:
    """Classes of a layer on a grid.

    Parameters
    ----------
    file
        The layer; its kind is told by its content.
    grid
        Where classes are wanted.
    legend
        The classes that values or the crosswalk speak of; None, for polygons and points alone, makes them of
        the crosswalk's targets, else of the values that occur.

    Raises
    ------
    InputError, UsageError
        Everything that would make the classes wrong, before the first pixel is read.
    """
    with called(file.names):
        return _open(file, grid, legend)


def _open(file: TruthFile, grid: Grid, legend: Legend | None) -> Truth:
    if is_vector(file.path):
        if file.band is not None:
            raise UsageError("`band` needs a raster", where=file.path, why="these are polygons or points")
        return open_features(file, grid, legend)
    given = next((o for o in _OF_VECTORS if getattr(file, o) is not None), None)
    if given is not None or legend is None:
        what = "labels without classes need" if given is None else f"`{given}` needs"
        raise UsageError(f"{what} polygons or points", where=file.path, why="this is a raster")
    return open_pixels(file, grid, legend)
