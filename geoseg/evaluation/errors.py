"""A raster of what was mapped as what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.matrix import positions
from geoseg.errors import UsageError
from geoseg.evaluation.inputs import Inputs
from geoseg.evaluation.reference import pairs
from geoseg.files import require_folder, require_free
from geoseg.geometry import Window
from geoseg.raster.cog import RasterLayer, write_cog
from geoseg.raster.pairs import PairCodes
from geoseg.raster.style import raster_qml


def require_errors(path: Path, *, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Refuse a name that is no GeoTIFF's, or taken."""
    if path.suffix.lower() not in {".tif", ".tiff"}:
        raise UsageError(f"`errors={path}` is no GeoTIFF", hint=f"`errors={path.with_suffix('.tif')}`")
    require_folder(path.absolute())
    require_free(path.absolute(), overwrite=overwrite, inputs=inputs)
    require_free(path.absolute().with_suffix(".qml"), overwrite=overwrite, inputs=inputs, beside=path)


def write_errors(
    inputs: Inputs, path: Path, counts: NDArray[np.int64], windows: Sequence[Window], folder: Path
) -> list[tuple[Path, Path]]:
    """(file in the `folder` of what is unfinished, file that it becomes) of the raster and its style.

    Every scored pixel holds the code of its pair, the reference's class and the map's: pale where these are
    one, in the colour of the mapped class where not. Pixels that are not scored have none.
    """
    legend, k = inputs.legend, len(inputs.legend)
    codes = PairCodes.of(legend, np.pad(counts, (0, 1)), same="{0}, right", other="{0} mapped as {1}")
    place = np.minimum(positions(legend), k)
    occurring = codes.table[:k, :k][counts > 0].tolist()

    def read(window: Window) -> NDArray[Any]:
        truth, mapped = pairs(inputs.reference, window, inputs.mapped(window))
        return codes.table[place[truth], place[mapped]].astype(codes.dtype)

    path = path.absolute()
    style = path.with_suffix(".qml")
    write_cog(
        folder / path.name,
        inputs.class_map.grid,
        read,
        windows,
        RasterLayer(
            dtype=codes.dtype,
            nodata=codes.nodata,
            legend=codes.as_legend(occurring),
            crs_wkt=inputs.class_map.crs_wkt,
            description="reference and map",
            resampling="mode",
        ),
        target=path,
    )
    (folder / style.name).write_text(raster_qml(codes.classes(occurring)), encoding="utf-8")
    return [(folder / file.name, file) for file in (style, path)]
