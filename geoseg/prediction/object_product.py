"""What a prediction of objects makes of a scene: polygons, a raster of their numbers, classes of stuff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.decision import Decision
from geoseg.execution import Where
from geoseg.execution.resume import Computed
from geoseg.geometry import TilePlan, Window
from geoseg.legend import LandClass
from geoseg.models.object_rule import ObjectRule
from geoseg.objects.joining import Objects, join_objects
from geoseg.objects.packing import unpack
from geoseg.objects.pieces import match_of
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.square import SquareCount
from geoseg.prediction.folder import CLASSES_TIF, PANOPTIC_TIF, STYLE
from geoseg.prediction.job import objects_name
from geoseg.prediction.object_chunk import PIECES, RIM, STUFF, ObjectRecord, find_objects
from geoseg.prediction.object_rows import COLUMNS, ObjectRows
from geoseg.prediction.plan import OpenedJob, settle_engine
from geoseg.prediction.product import chunk_request, facts_of, tags_of
from geoseg.raster.cog import RasterLayer, write_cog
from geoseg.raster.store import FREE, Layer, WorkStore
from geoseg.raster.style import raster_qml, vector_qml
from geoseg.version import __version__
from geoseg.writers.layer import Layer as VectorLayer
from geoseg.writers.write import write_layer


@dataclass(frozen=True, kw_only=True)
class ObjectMap:
    """Objects of a scene, each once; and with a panoptic model a class map in which they lie.

    Attributes
    ----------
    where
        The processors that the engine is chosen for, and on which objects are traced.
    """

    opened: OpenedJob
    where: Where
    _joined: list[Objects] = field(default_factory=list)
    _mapped: Counter[int] = field(default_factory=Counter)
    _squares: SquareCount = field(default_factory=SquareCount)

    @property
    def stage(self) -> str:
        """The verb, for progress."""
        return "predict"

    @property
    def tiling(self) -> TilePlan:
        """The chunks, and the tiles in them."""
        return self.opened.tiling

    @property
    def rule(self) -> ObjectRule:
        """What counts as an object."""
        return self.opened.ensemble.bundles[0].objects or ObjectRule()

    @property
    def things(self) -> tuple[LandClass, ...]:
        """Classes of objects; what a promptable model answers with is always one."""
        legend, task = self.opened.ensemble.legend, self.opened.ensemble.task
        return legend.classes if task == "promptable" else legend.things

    @property
    def is_panoptic(self) -> bool:
        """Whether every pixel gets a class as well."""
        return self.opened.ensemble.task == "panoptic"

    @property
    def wanted(self) -> Sequence[int]:
        """The chunks that can hold an answer."""
        return self.opened.chunks

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Pieces of objects by chunk, what neighbours need of them, classes of stuff."""
        layers: dict[str, Layer] = {PIECES: "uint32", RIM: ("uint8", FREE)}
        return {**layers, STUFF: "uint8"} if self.is_panoptic else layers

    def settle(self) -> dict[str, Any]:
        """The engine that runs the network."""
        return settle_engine(self.opened, self.where).to_json()

    def task(self, store: Path, settled: Mapping[str, Any]) -> Callable[[int], ObjectRecord]:
        """Function of a chunk's index, to be run anywhere."""
        choice = Decision.from_json(settled).choice
        return partial(find_objects, chunk_request(self.opened, store, choice), self.rule.match)

    def record(self, stored: Mapping[str, Any]) -> ObjectRecord:
        """Record from the ledger's JSON."""
        return ObjectRecord.from_json(stored)

    def blank(self, store: WorkStore, window: Window) -> ObjectRecord:
        """Record of a chunk without any object, which is not stored."""
        return ObjectRecord(
            digests={}, pieces=0, wanted=0, capped=0, tiles=0, skipped=0, seconds=0.0, engine={}
        )

    def publish(
        self, computed: Computed[ObjectRecord], folder: Path, out: Path, run_id: str
    ) -> tuple[str, ...]:
        """Names of the rasters and of the vector files."""
        opened, found = self.opened, self._objects(computed)
        scene, ensemble = opened.scene, opened.ensemble
        windows = {self.tiling.chunk_at(k).window: k for k in self._stored(computed)}
        tags = tags_of(opened, run_id, len(computed.failed))
        plain = RasterLayer(crs_wkt=scene.crs_wkt, tags=tags)

        def ids(window: Window) -> NDArray[np.uint32]:
            index = windows[window]
            record = computed.records[index]
            pieces = computed.store.read_verified(PIECES, window, record.digests[PIECES])
            return found.raster(index, pieces, record.pieces)

        write_cog(
            folder / PANOPTIC_TIF,
            scene.grid,
            ids,
            windows,
            replace(plain, dtype="uint32", nodata=0, description=f"objects by {ensemble.name}"),
            target=out / PANOPTIC_TIF,
        )
        files = [PANOPTIC_TIF]
        if self.is_panoptic:
            of_object = np.concatenate([np.zeros(1, np.uint8), found.table["class_id"]])

            def classes(window: Window) -> NDArray[np.uint8]:
                record, numbers = computed.records[windows[window]], ids(window)
                stuff = computed.store.read_verified(STUFF, window, record.digests[STUFF])
                shown = np.where(numbers > 0, of_object[numbers], stuff)
                self._mapped.update(dict(enumerate(np.bincount(shown.ravel()).tolist())))
                return shown

            write_cog(
                folder / CLASSES_TIF,
                scene.grid,
                classes,
                windows,
                replace(plain, legend=ensemble.legend, description=f"class by {ensemble.name}"),
                target=out / CLASSES_TIF,
            )
            (folder / STYLE).write_text(raster_qml(ensemble.legend.classes), encoding="utf-8")
            files += [STYLE, CLASSES_TIF]
        rows = ObjectRows(
            raster=folder / PANOPTIC_TIF,
            grid=scene.grid,
            legend=ensemble.legend,
            table=found.table,
            generalization=self._how(),
            squares=self._squares,
        )
        target = folder / objects_name(opened.job.objects_format)
        written = write_layer(
            target, rows.batches(self.tiling.chunk, self.where), self._layer(run_id), overwrite=False
        )
        return (*files, *(path.name for path in reversed(written)))

    def facts(self, computed: Computed[ObjectRecord]) -> dict[str, Any]:
        """Model and engine, legend, tiles, objects and their pixels by class, what the user should know."""
        found = self._objects(computed).table
        records = computed.records.values()
        counts = np.bincount(found["class_id"], minlength=256)
        pixels = np.zeros(256, np.int64)
        np.add.at(pixels, found["class_id"], found["pixels"])
        facts = facts_of(self.opened, computed)
        if capped := sum(record.capped for record in records):
            most = f"{capped} tiles hold more than {self.rule.per_tile} objects; the best of them were kept"
            facts["notes"] = [*facts["notes"], most]
        if self.opened.job.square is not None:
            facts["notes"] = [*facts["notes"], str(self._squares.total or "no outline could be squared")]
        return {
            **facts,
            "task": self.opened.ensemble.task,
            "rule": self.rule.to_json(),
            "objects": {c.name: int(counts[c.id]) for c in self.things},
            "pixels": self._pixels(pixels, sum(record.wanted for record in records)),
        }

    def _how(self) -> Generalization | None:
        """How outlines are drawn; None along the edges of pixels."""
        metres, grid = self.opened.job.square, self.opened.scene.grid
        return None if metres is None else Generalization.right_angles(grid, metres)

    def _pixels(self, of_objects: NDArray[np.int64], wanted: int) -> dict[str, int]:
        """Pixels by name of class, without an object, and without an answer."""
        legend, area = self.opened.ensemble.legend, self.tiling.height * self.tiling.width
        if self.is_panoptic:
            mapped = {c.name: self._mapped[c.id] for c in legend.classes}
            return {**mapped, "nodata": area - sum(mapped.values())}
        things = {c.name: int(of_objects[c.id]) for c in self.things}
        return {**things, "no object": wanted - sum(things.values()), "nodata": area - wanted}

    def _objects(self, computed: Computed[ObjectRecord]) -> Objects:
        """The chunks' pieces joined, once."""
        if not self._joined:

            def told(index: int) -> Any:
                window = self.tiling.chunk_at(index).window
                record = computed.records[index]
                return unpack(computed.store.read_verified(RIM, window, record.digests[RIM]))

            counts = {k: computed.records[k].pieces for k in self._stored(computed)}
            rule = self.rule
            self._joined.append(
                join_objects(
                    self.tiling, counts, told, match=match_of(rule.match), min_pixels=rule.min_pixels
                )
            )
        return self._joined[0]

    @staticmethod
    def _stored(computed: Computed[ObjectRecord]) -> list[int]:
        return sorted(index for index, record in computed.records.items() if record.digests)

    def _layer(self, run_id: str) -> VectorLayer:
        scene, ensemble = self.opened.scene, self.opened.ensemble
        return VectorLayer(
            name="objects",
            crs_wkt=scene.crs_wkt or scene.grid.crs.to_wkt(),
            schema=COLUMNS,
            detail=max(scene.grid.ground_size),
            style=lambda: vector_qml(self.things),
            metadata={
                "description": "Objects, each with all its parts. score is in percent, area_m2 is geodesic; "
                "at_edge is 1 where an object touches nodata or the end of the scene.",
                "software": f"geoseg {__version__}",
                "run": run_id,
                "model": f"{ensemble.name} {ensemble.bundles[0].digest}",
            },
        )
