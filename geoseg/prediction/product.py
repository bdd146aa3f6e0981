"""What a prediction makes of a scene: layers of every chunk, and the files published of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision
from geoseg.execution import Where
from geoseg.execution.resume import ChunkWork, Computed, Record
from geoseg.geometry import TilePlan, Window
from geoseg.legend import NODATA
from geoseg.prediction.chunk import (
    CLASSES,
    CONFIDENCE,
    ChunkRecord,
    ChunkRequest,
    EngineRequest,
    predict_chunk,
)
from geoseg.prediction.folder import CLASSES_TIF, CONFIDENCE_STYLE, CONFIDENCE_TIF, NOVELTY_TIF, STYLE
from geoseg.prediction.novelty import doubt_facts, write_novelty
from geoseg.prediction.plan import OpenedJob, restore_engine, settle_engine
from geoseg.prediction.stitch import NO_CONFIDENCE
from geoseg.raster.cog import RasterLayer, write_cog
from geoseg.raster.store import WorkStore
from geoseg.raster.style import percent_qml, raster_qml

R = TypeVar("R", bound=Record)

_NOTHING = "nothing is mapped: every pixel is no data, or its centre lies outside the area of interest"


class Product(ChunkWork[R], Protocol[R]):
    """Work on chunks whose result is published."""

    def blank(self, store: WorkStore, window: Window) -> R:
        """Record of a chunk that failed, after layers without any answer were written for it."""
        ...

    def publish(self, computed: Computed[R], folder: Path, out: Path, run_id: str) -> tuple[str, ...]:
        """Names of the files written into `folder`, after their content was re-read against the records.

        They get their names in `out` together, in this order, once all are there.
        """
        ...

    def facts(self, computed: Computed[R]) -> dict[str, Any]:
        """What the manifest says of the product, once it is published."""
        ...


@dataclass(frozen=True, kw_only=True)
class Classification:
    """A class map, and how sure the model is of it.

    Attributes
    ----------
    where
        The processors that the engine is chosen for.
    """

    opened: OpenedJob
    where: Where

    @property
    def stage(self) -> str:
        """The verb, for progress."""
        return "predict"

    @property
    def tiling(self) -> TilePlan:
        """The chunks, and the tiles in them."""
        return self.opened.tiling

    @property
    def wanted(self) -> Sequence[int]:
        """The chunks that can hold an answer."""
        return self.opened.chunks

    @property
    def layers(self) -> Mapping[str, str]:
        """Labels, and confidence in percent; 255 for none in both."""
        return {CLASSES: "uint8", CONFIDENCE: "uint8"}

    def settle(self) -> dict[str, Any]:
        """The engine that runs the networks, and why it does."""
        return settle_engine(self.opened, self.where).to_json()

    def task(self, store: Path, settled: Mapping[str, Any]) -> Callable[[int], ChunkRecord]:
        """Function of a chunk's index, to be run anywhere."""
        decision = Decision.from_json(settled)
        restore_engine(self.opened, decision)
        return partial(predict_chunk, chunk_request(self.opened, store, decision.choice))

    def record(self, stored: Mapping[str, Any]) -> ChunkRecord:
        """Record from the ledger's JSON."""
        return ChunkRecord.from_json(stored)

    def blank(self, store: WorkStore, window: Window) -> ChunkRecord:
        """Record of a chunk that holds nodata alone, which is not stored."""
        return ChunkRecord(
            digests={},
            counts={NODATA: window.area},
            tiles=0,
            skipped=0,
            seconds=0.0,
            engine={},
        )

    def publish(
        self, computed: Computed[ChunkRecord], folder: Path, out: Path, run_id: str
    ) -> tuple[str, ...]:
        """Names of the maps and of the style."""
        scene, ensemble = self.opened.scene, self.opened.ensemble
        stored = sorted(index for index, record in computed.records.items() if record.digests)
        windows = {index: self.tiling.chunk_at(index).window for index in stored}
        tags = tags_of(self.opened, run_id, len(computed.failed))
        for layer, name, description in (
            (CLASSES, CLASSES_TIF, f"class by {ensemble.name}"),
            (CONFIDENCE, CONFIDENCE_TIF, "confidence in % (0-100)"),
        ):
            write_cog(
                folder / name,
                scene.grid,
                partial(computed.store.read, layer),
                windows.values(),
                RasterLayer(
                    nodata=NODATA if layer == CLASSES else NO_CONFIDENCE,
                    legend=ensemble.legend if layer == CLASSES else None,
                    crs_wkt=scene.crs_wkt,
                    tags=tags,
                    description=description,
                    resampling="mode" if layer == CLASSES else "average",
                ),
                target=out / name,
                digests={windows[i]: computed.records[i].digests[layer] for i in windows},
            )
        (folder / STYLE).write_text(raster_qml(ensemble.legend.classes), encoding="utf-8")
        (folder / CONFIDENCE_STYLE).write_text(percent_qml(), encoding="utf-8")
        files = CONFIDENCE_STYLE, CONFIDENCE_TIF, STYLE, CLASSES_TIF
        if not self.opened.job.novelty:
            return files
        sure = partial(computed.store.read, CONFIDENCE)
        write_novelty(folder / NOVELTY_TIF, out / NOVELTY_TIF, scene, ensemble.bundles, sure, tags)
        return NOVELTY_TIF, *files

    def facts(self, computed: Computed[ChunkRecord]) -> dict[str, Any]:
        """Models and engine, legend, tiles, pixels of every class, and what the user should know."""
        ensemble = self.opened.ensemble
        total: Counter[int] = Counter()
        for record in computed.records.values():
            total.update({i: n for i, n in record.counts.items() if i != NODATA})
        facts = facts_of(self.opened, computed)
        sure = partial(computed.store.read, CONFIDENCE)
        doubt, remark = doubt_facts(sure, self.opened.scene.grid.window, ensemble.bundles)
        return {
            **facts,
            **({"doubt": doubt} if doubt else {}),
            "pixels": {
                **{c.name: total[c.id] for c in ensemble.legend.classes},
                "nodata": self.tiling.height * self.tiling.width - total.total(),
            },
            "notes": [*facts["notes"], *filter(None, [remark]), *([] if total.total() else [_NOTHING])],
        }


def chunk_request(opened: OpenedJob, store: Path, choice: EngineChoice) -> ChunkRequest:
    """All that is the same for every chunk of a run."""
    return ChunkRequest(
        scene=opened.scene,
        plan=opened.tiling,
        engine=EngineRequest(
            bundles=tuple(str(b.path.absolute()) for b in opened.ensemble.bundles),
            digests=tuple(b.digest for b in opened.ensemble.bundles),
            tta=opened.job.tta,
            choice=choice,
            task=opened.ensemble.task,
            everything=opened.job.everything,
        ),
        store=store,
        batch=opened.batch,
        aoi=opened.aoi,
    )


def tags_of(opened: OpenedJob, run_id: str, failed: int) -> dict[str, str]:
    """What every raster says of the run that made it, in which so many chunks failed."""
    ensemble = opened.ensemble
    return {
        "GEOSEG_RUN": run_id,
        "GEOSEG_MODEL": ", ".join(b.name for b in ensemble.bundles),
        "GEOSEG_MODEL_SHA256": ", ".join(b.digest for b in ensemble.bundles),
        "GEOSEG_TTA": ensemble.tta,
        **({"GEOSEG_WITHOUT": ", ".join(opened.job.without)} if opened.job.without else {}),
        **({"GEOSEG_MISSING_CHUNKS": str(failed)} if failed else {}),
    }


def facts_of(opened: OpenedJob, computed: Computed[R]) -> dict[str, Any]:
    """What a manifest says of any product: models and engine, legend, tiles, chunks, notes."""
    ensemble, tiling, records = opened.ensemble, opened.tiling, computed.records.values()
    decision = Decision.from_json(computed.settled)
    run = sum(record.tiles for record in records)
    return {
        "models": [
            {"name": b.name, "version": b.version, "digest": b.digest, "licence": b.licence}
            for b in ensemble.bundles
        ],
        **({"without": opened.job.without} if opened.job.without else {}),
        "tta": ensemble.tta,
        "legend": ensemble.legend.to_json(),
        "engine": dict(next((r.engine for r in records if r.engine), {})),
        "decision": dict(computed.settled),
        "tiling": {**asdict(tiling), "forward_pixels_per_pixel": round(opened.forward_ratio, 4)},
        "chunks": {"total": tiling.chunks, "failed": {str(i): e for i, e in computed.failed.items()}},
        "tiles": {"run": run, "skipped": tiling.forward_tiles - run},
        "notes": [*opened.notes, *([str(decision)] if decision.trials else []), *decision.warnings],
    }
