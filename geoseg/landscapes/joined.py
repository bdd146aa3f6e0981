"""Patches of all windows joined over the seams, and what they are as a landscape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import HECTARE, Window
from geoseg.landscapes.metrics import Patch, of_class, of_landscape
from geoseg.landscapes.patches import LENGTH_UNIT, Patches
from geoseg.regions.patches import PatchJoin


class JoinedPatches:
    """Patches of all windows, which come in row-major order, joined over the seams."""

    def __init__(self, width: int, *, corners: bool) -> None:
        self._patches, self._cores = (PatchJoin(width, corners=corners) for _ in range(2))
        self._parts: list[NDArray[np.int64]] = [np.zeros((5, 0), np.int64)]
        self._core_parts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._lengths = np.zeros((2, 256), np.int64)

    def add(self, window: Window, found: Patches) -> None:
        """Take the patches of a window."""
        self._patches.add(window, found.edges)
        self._cores.add(window, found.core_edges)
        self._parts.append(np.stack([found.class_id, found.pixels, found.units, found.sides, found.core]))
        self._core_parts.append(found.core_class_id)
        self._lengths += found.edge, found.boundary

    def metrics(
        self, unit: float, *, count_boundary: bool, where: Path
    ) -> tuple[dict[int, dict[str, float]], dict[str, float]]:
        """(metrics by class, of the landscape); InputError where there is no class at all."""
        patch, count = self._patches.patches()
        if count == 0:
            raise InputError("no pixel has a class", where=where)
        class_id, *parts = np.concatenate(self._parts, axis=1)
        sums = np.zeros((4, count), np.int64)
        for total, part in zip(sums, parts, strict=True):
            np.add.at(total, patch, part)
        of_patch = np.zeros(count, np.int64)
        of_patch[patch] = class_id
        core, core_count = self._cores.patches()
        of_core = np.zeros(core_count, np.int64)
        of_core[core] = np.concatenate(self._core_parts)
        pixels, units, outline, cores = sums
        hectares = unit / HECTARE
        areas: NDArray[np.float64] = units.astype(np.float64) * hectares
        core_areas: NDArray[np.float64] = cores.astype(np.float64) * hectares
        inner, outer = self._lengths * LENGTH_UNIT
        ground, all_pixels = float(units.sum()) * hectares, int(pixels.sum())
        classes = {}
        for number in np.unique(of_patch).tolist():
            own = of_patch == number
            classes[number] = of_class(
                Patch(
                    hectares=areas[own],
                    core=core_areas[own],
                    pixels=pixels[own],
                    sides=outline[own],
                    parts=int((of_core == number).sum()),
                    edge=float(inner[number] + (outer[number] if count_boundary else 0.0)),
                ),
                ground,
                all_pixels,
            )
        everything = Patch(
            hectares=areas,
            core=core_areas,
            pixels=pixels,
            sides=outline,
            parts=core_count,
            edge=float(inner.sum() / 2 + (outer.sum() if count_boundary else 0.0)),
        )
        shares = np.array([m["CA"] for m in classes.values()]) / ground
        return classes, of_landscape(everything, shares, ground, all_pixels)
