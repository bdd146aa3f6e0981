"""Confidence in whole percent, from rasters of percent or of fractions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import Window
from geoseg.legend import NODATA
from geoseg.raster.scene import Scene


def percent(confidence: Scene, window: Window) -> NDArray[np.uint8]:
    """Confidence (h, w) in percent, 255 where there is none, from percent or from fractions.

    Raises
    ------
    InputError
        A value that is neither.
    """
    (values,), valid = confidence.read(window)
    most = 1 if values.dtype.kind == "f" else 100
    wrong = valid & ((values < 0) | (values > most))
    if wrong.any():
        raise InputError(
            f"confidence {values[wrong][0]:g} is out of range",
            where=confidence.name,
            why=f"{values.dtype} holds 0 to {most}",
            hint="fractions from 0 to 1 as float32, or whole percent from 0 to 100, with a nodata tag",
        )
    out = np.full(values.shape, NODATA, np.uint8)
    out[valid] = np.rint(values[valid] * (100 / most))
    return out
