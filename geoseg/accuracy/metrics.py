"""Scores as pure functions of what was counted, and one record for each: `METRICS`.

Every function but the last few takes ``counts``: (K, K) with rows reference and columns map, or (K, K + 1)
where the last column holds reference pixels on which the map says nothing; those count as wrong.

The rule for empty classes, everywhere: a class that is in neither the reference nor the map is NaN and is
left out of every mean. A class in only one of them scores 0. So no mean can rise or fall by a class that is
not there.

Tables, files, cards and the list in ``docs/scores.md`` walk the records; none of them names a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from geoseg.accuracy.boundary import BoundaryCounts
    from geoseg.accuracy.calibration import Calibration, ConfidenceCounts
    from geoseg.accuracy.outline import OutlineCounts
    from geoseg.accuracy.panoptic import Panoptic

Counts = NDArray[np.int64]
PerClass = NDArray[np.float64]
Place = Literal["evaluation", "card"]

Evidence = Mapping[str, Any]
"""What was counted, by name: ``counts``; ``boundary`` or ``boundary_edge`` (`BoundaryCounts`); ``outline``
(`OutlineCounts`); ``objects`` (`Panoptic`), and the same as ``panoptic`` where objects have ids;
``confidence`` (`ConfidenceCounts`); and ``calibration`` (`Calibration`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One score: what it is called, how it follows from what was counted, and what it means.

    Attributes
    ----------
    name
        Its key in JSON and its column in CSV.
    heading
        What stands over its column, or before its number.
    function
        From the evidence named by `needs` to (K,) numbers or to one; NaN where there is none.
    rule
        What it is, in words.
    source
        Who defined it.
    per_class
        Whether `function` gives a number for each class.
    needs
        Name of the evidence that it takes; where that was not gathered, the metric is left out.
    share
        Whether it is a share, 0 to 1, that people read in percent.
    only
        Where it stands, if not everywhere: in evaluations, or in bundles and on their cards.
    """

    name: str
    heading: str
    function: Callable[[Any], Any]
    rule: str
    source: str
    per_class: bool = False
    needs: str = "counts"
    share: bool = True
    only: Place | None = None

    def of(self, evidence: Evidence) -> Any:
        """(K,) float64, or one float, from the evidence that it needs."""
        return self.function(evidence[self.needs])


def metrics_for(evidence: Evidence, place: Place, *, per_class: bool) -> tuple[Metric, ...]:
    """Metrics of classes, or those over all classes, that can be computed from the evidence at a place."""
    return tuple(
        m for m in METRICS if m.per_class == per_class and m.needs in evidence and m.only in {None, place}
    )


def hits(counts: Counts) -> Counts:
    """Correct pixels per class, (K,)."""
    return np.ascontiguousarray(np.diagonal(counts))


def support(counts: Counts) -> Counts:
    """Reference pixels per class, (K,)."""
    total: Counts = counts.sum(axis=1)
    return total


def mapped(counts: Counts) -> Counts:
    """Map pixels per class, (K,), among the scored ones."""
    total: Counts = counts[:, : len(counts)].sum(axis=0)
    return total


def present(counts: Counts) -> NDArray[np.bool_]:
    """Classes that are in the reference or in the map, (K,)."""
    found: NDArray[np.bool_] = (support(counts) + mapped(counts)) > 0
    return found


def iou(counts: Counts) -> PerClass:
    """Intersection over union per class."""
    return _ratio(hits(counts), support(counts) + mapped(counts) - hits(counts), counts)


def dice(counts: Counts) -> PerClass:
    """Dice coefficient per class, the same number as F1."""
    return _ratio(2 * hits(counts), support(counts) + mapped(counts), counts)


def precision(counts: Counts) -> PerClass:
    """User's accuracy per class: of the pixels mapped as it, the share that is it."""
    return _ratio(hits(counts), mapped(counts), counts)


def recall(counts: Counts) -> PerClass:
    """Producer's accuracy per class: of the pixels that are it, the share mapped as it."""
    return _ratio(hits(counts), support(counts), counts)


def map_share(counts: Counts) -> PerClass:
    """Share of the scored pixels that the map gives to each class; NaN where nothing was scored."""
    total = int(counts.sum())
    return mapped(counts) / total if total else np.full(len(counts), np.nan)


def mean(per_class: PerClass) -> float:
    """Mean over the classes that are there (NaN left out); NaN if none is."""
    there = per_class[~np.isnan(per_class)]
    return float(there.mean()) if there.size else float("nan")


def mean_iou(counts: Counts) -> float:
    """Mean IoU over the classes that are in the reference or in the map."""
    return mean(iou(counts))


def macro_f1(counts: Counts) -> float:
    """Mean F1 over the classes that are in the reference or in the map."""
    return mean(dice(counts))


def frequency_weighted_iou(counts: Counts) -> float:
    """IoU weighted by each class's share of the reference; NaN where nothing was scored."""
    weights, total = support(counts), int(counts.sum())
    return float(np.nansum(iou(counts) * weights) / total) if total else float("nan")


def overall_accuracy(counts: Counts) -> float:
    """Share of the scored pixels that are right; NaN where nothing was scored."""
    total = int(counts.sum())
    return int(hits(counts).sum()) / total if total else float("nan")


def kappa(counts: Counts) -> float:
    """Cohen's kappa; NaN where chance alone would agree everywhere (one class in both, or nothing scored)."""
    total = int(counts.sum())
    # Python integers: the products of two counts pass 2**63 on large maps
    chance = sum(int(a) * int(b) for a, b in zip(support(counts), mapped(counts), strict=True))
    if chance == total * total:
        return float("nan")
    agreed = int(hits(counts).sum())
    return (agreed * total - chance) / (total * total - chance)


def boundary_iou(bands: BoundaryCounts) -> PerClass:
    """IoU of the boundary bands per class; NaN where neither has a boundary of it."""
    return bands.iou


def mean_boundary_iou(bands: BoundaryCounts) -> float:
    """Mean boundary IoU over the classes that have a boundary."""
    return mean(bands.iou)


def outline_precision(outlines: OutlineCounts) -> PerClass:
    """Share of the map's outline that is near the reference's, per class."""
    return outlines.precision


def outline_recall(outlines: OutlineCounts) -> PerClass:
    """Share of the reference's outline that is near the map's, per class."""
    return outlines.recall


def outline_f1(outlines: OutlineCounts) -> PerClass:
    """Harmonic mean of both, per class."""
    return outlines.f1


def mean_outline_f1(outlines: OutlineCounts) -> float:
    """Mean over the classes that have an outline."""
    return mean(outlines.f1)


def panoptic_quality(objects: Panoptic) -> PerClass:
    """Panoptic quality per class."""
    return objects.quality


def segmentation_quality(objects: Panoptic) -> PerClass:
    """Mean intersection over union of matched areas, per class."""
    return objects.segmentation


def object_precision(objects: Panoptic) -> PerClass:
    """Share of the map's areas that match, per class."""
    return objects.precision


def object_recall(objects: Panoptic) -> PerClass:
    """Share of the reference's areas that match, per class."""
    return objects.recall


def recognition_quality(objects: Panoptic) -> PerClass:
    """F1 of areas, per class."""
    return objects.recognition


def mean_panoptic_quality(objects: Panoptic) -> float:
    """Mean panoptic quality over the classes that have areas."""
    return mean(objects.quality)


def quality_of_things(objects: Panoptic) -> float:
    """Mean panoptic quality over the classes of objects with ids."""
    return mean(objects.quality[np.asarray(objects.things, np.bool_)])


def quality_of_stuff(objects: Panoptic) -> float:
    """Mean panoptic quality over the other classes, each of which is one segment."""
    return mean(objects.quality[~np.asarray(objects.things, np.bool_)])


def confidence_error(confidence: ConfidenceCounts) -> float:
    """Expected calibration error of a map's confidence."""
    return confidence.error()


def confidence_gap(confidence: ConfidenceCounts) -> float:
    """Largest distance of confidence and accuracy in any bin."""
    return confidence.gap()


def calibration_error(calibration: Calibration) -> float:
    """Expected calibration error of calibrated probabilities."""
    return calibration.after


def _ratio(part: Counts, whole: Counts, counts: Counts) -> PerClass:
    """Part / whole; 0 where the class is in only one of the two maps, NaN where it is in neither."""
    result = np.where(present(counts), 0.0, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


_CONGALTON = "Congalton & Green (2019)"
_MEAN = "unweighted mean over the classes that are in the reference or the map"

METRICS = (
    Metric(
        name="iou",
        heading="IoU",
        function=iou,
        rule="hits / (reference + map - hits)",
        source="Jaccard (1912)",
        per_class=True,
    ),
    Metric(
        name="dice",
        heading="Dice/F1",
        function=dice,
        rule="2 hits / (reference + map); the same as F1",
        source="Dice (1945)",
        per_class=True,
        only="evaluation",
    ),
    Metric(
        name="f1",
        heading="F1",
        function=dice,
        rule="2 hits / (reference + map)",
        source="Dice (1945)",
        per_class=True,
        only="card",
    ),
    Metric(
        name="precision",
        heading="precision",
        function=precision,
        rule="hits / map (user's accuracy)",
        source=_CONGALTON,
        per_class=True,
    ),
    Metric(
        name="recall",
        heading="recall",
        function=recall,
        rule="hits / reference (producer's accuracy)",
        source=_CONGALTON,
        per_class=True,
    ),
    Metric(
        name="boundary_iou",
        heading="boundary IoU",
        function=boundary_iou,
        rule="IoU of the bands of pixels with another class within boundary_pixels rows and columns; "
        "nodata and the edge of the map make no boundary; null for a class without a boundary in both",
        source="Cheng et al. (2021)",
        per_class=True,
        needs="boundary",
    ),
    Metric(
        name="boundary_iou_edge",
        heading="boundary IoU, with edge",
        function=boundary_iou,
        rule="boundary_iou in which pixels within boundary_pixels of the map's edge are in the band of their "
        "class, as in the authors' own code",
        source="Cheng et al. (2021)",
        per_class=True,
        needs="boundary_edge",
    ),
    Metric(
        name="boundary_precision",
        heading="boundary precision",
        function=outline_precision,
        rule="share of the map's outline pixels of the class within boundary_metres of the reference's; an "
        "outline pixel has a side neighbour of another class",
        source="Csurka et al. (2013)",
        per_class=True,
        needs="outline",
    ),
    Metric(
        name="boundary_recall",
        heading="boundary recall",
        function=outline_recall,
        rule="share of the reference's outline pixels of the class within boundary_metres of the map's",
        source="Csurka et al. (2013)",
        per_class=True,
        needs="outline",
    ),
    Metric(
        name="boundary_f1",
        heading="boundary F1",
        function=outline_f1,
        rule="harmonic mean of boundary_precision and boundary_recall",
        source="Csurka et al. (2013)",
        per_class=True,
        needs="outline",
    ),
    Metric(
        name="pq",
        heading="PQ",
        function=panoptic_quality,
        rule="sum of the IoUs of matched areas / (matched + (missed + extra) / 2); areas are 4-connected, or "
        "what has one id and all of a class without ids, and match where their IoU is above 0.5",
        source="Kirillov et al. (2019)",
        per_class=True,
        needs="objects",
    ),
    Metric(
        name="sq",
        heading="SQ",
        function=segmentation_quality,
        rule="mean IoU of matched areas; null without any",
        source="Kirillov et al. (2019)",
        per_class=True,
        needs="objects",
    ),
    Metric(
        name="rq",
        heading="RQ",
        function=recognition_quality,
        rule="matched / (matched + (missed + extra) / 2)",
        source="Kirillov et al. (2019)",
        per_class=True,
        needs="objects",
    ),
    Metric(
        name="object_precision",
        heading="object precision",
        function=object_precision,
        rule="matched areas / areas of the map",
        source="Kirillov et al. (2019)",
        per_class=True,
        needs="objects",
    ),
    Metric(
        name="object_recall",
        heading="object recall",
        function=object_recall,
        rule="matched areas / areas of the reference",
        source="Kirillov et al. (2019)",
        per_class=True,
        needs="objects",
    ),
    Metric(
        name="mean_iou",
        heading="mean IoU",
        function=mean_iou,
        rule=_MEAN,
        source="Everingham et al. (2010)",
    ),
    Metric(
        name="frequency_weighted_iou",
        heading="frequency-weighted IoU",
        function=frequency_weighted_iou,
        rule="IoU weighted by the class's share of the reference",
        source="Long et al. (2015)",
        only="evaluation",
    ),
    Metric(
        name="overall_accuracy",
        heading="overall accuracy",
        function=overall_accuracy,
        rule="hits of all classes / scored",
        source=_CONGALTON,
    ),
    Metric(
        name="kappa",
        heading="kappa",
        function=kappa,
        rule="Cohen's kappa; null where chance alone would agree everywhere",
        source="Cohen (1960)",
        share=False,
    ),
    Metric(
        name="macro_f1",
        heading="macro F1",
        function=macro_f1,
        rule=_MEAN,
        source="Sokolova & Lapalme (2009)",
        only="evaluation",
    ),
    Metric(
        name="mean_boundary_iou",
        heading="mean boundary IoU",
        function=mean_boundary_iou,
        rule="unweighted mean of boundary_iou over the classes with a boundary in the reference or the map",
        source="Cheng et al. (2021)",
        needs="boundary",
    ),
    Metric(
        name="mean_boundary_iou_edge",
        heading="mean boundary IoU, with edge",
        function=mean_boundary_iou,
        rule="unweighted mean of boundary_iou_edge",
        source="Cheng et al. (2021)",
        needs="boundary_edge",
    ),
    Metric(
        name="mean_boundary_f1",
        heading="mean boundary F1",
        function=mean_outline_f1,
        rule="unweighted mean of boundary_f1 over the classes with an outline in the reference or the map",
        source="Csurka et al. (2013)",
        needs="outline",
    ),
    Metric(
        name="mean_pq",
        heading="mean PQ",
        function=mean_panoptic_quality,
        rule="unweighted mean of pq over the classes with an area in the reference or the map",
        source="Kirillov et al. (2019)",
        needs="objects",
    ),
    Metric(
        name="pq_things",
        heading="PQ of things",
        function=quality_of_things,
        rule="mean_pq over the classes with ids of objects",
        source="Kirillov et al. (2019)",
        needs="panoptic",
    ),
    Metric(
        name="pq_stuff",
        heading="PQ of stuff",
        function=quality_of_stuff,
        rule="mean_pq over the classes without ids, each of which is one segment of the whole map",
        source="Kirillov et al. (2019)",
        needs="panoptic",
    ),
    Metric(
        name="confidence_error",
        heading="ECE of confidence",
        function=confidence_error,
        rule="mean gap between the map's confidence and its accuracy over 15 bins, weighted by pixels; a "
        "value on a limit belongs to the bin below",
        source="Guo et al. (2017)",
        needs="confidence",
    ),
    Metric(
        name="confidence_gap",
        heading="largest gap",
        function=confidence_gap,
        rule="largest gap between confidence and accuracy in any of the bins",
        source="Guo et al. (2017)",
        needs="confidence",
    ),
    Metric(
        name="calibration_error",
        heading="calibration error",
        function=calibration_error,
        rule="mean gap between confidence and accuracy over 15 bins, weighted by pixels",
        source="Guo et al. (2017)",
        needs="calibration",
        only="card",
    ),
)
"""Every score, in the order in which people see them."""
