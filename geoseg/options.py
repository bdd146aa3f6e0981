"""Keyword arguments of the verbs, for editors and type checkers: the fields of their jobs.

Written by ``python -m tests.options.make`` from the jobs, which say what each means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypedDict

FilePath = str | PathLike[str]


class AdaptOptions(TypedDict, total=False):
    """Options of `AdaptJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    field: str | None
    layer: str | None
    labels_band: int | str | None
    single_class: str | int | None
    background: str | int | None
    overlap: Literal["refuse", "first", "last", "file"]
    repair: bool
    encoding: str | None
    all_touched: bool
    crosswalk: FilePath | Mapping[Any, Any] | None
    bands: int | str | Sequence[int | str] | None
    held_out: float
    steps: int
    learning_rate: float
    seed: int


class ChangeOptions(TypedDict, total=False):
    """Options of `ChangeJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    band_before: int | str | None
    band_after: int | str | None
    nodata_before: float | None
    nodata_after: float | None
    assume_crs_before: str | None
    assume_crs_after: str | None
    assume_transform_before: str | None
    assume_transform_after: str | None
    pixel_size_before: float | None
    pixel_size_after: float | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    crosswalk_before: FilePath | Mapping[Any, Any] | None
    crosswalk_after: FilePath | Mapping[Any, Any] | None
    legend: FilePath | Mapping[Any, Any] | None
    align: Literal["refuse", "nearest"]
    date_before: str | int | None
    date_after: str | int | None
    remove_slivers: bool
    min_area: float
    polygons: FilePath | None
    strata_class: str | int | None


class CleanOptions(TypedDict, total=False):
    """Options of `CleanJob`."""

    majority: int
    opening: int | str | Sequence[int | str | None] | Sequence[Any] | None
    closing: int | str | Sequence[int | str | None] | Sequence[Any] | None
    fill_holes: int
    min_pixels: int
    min_area: float
    small: Literal["merge", "drop"]
    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    legend: FilePath | Mapping[Any, Any] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    band: int | str | None
    chunk: int | None


class EvaluateOptions(TypedDict, total=False):
    """Options of `EvaluateJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    field: str | None
    layer: str | None
    reference_band: int | str | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    single_class: str | int | None
    background: str | int | None
    reference_nodata: float | None
    reference_crs: str | None
    reference_transform: str | None
    reference_pixel_size: float | None
    overlap: Literal["refuse", "first", "last", "file"]
    repair: bool
    encoding: str | None
    band: int | str | None
    legend: FilePath | Mapping[Any, Any] | None
    map_crosswalk: FilePath | Mapping[Any, Any] | None
    resample: Literal["nearest", "majority", "fraction"]
    boundary: int | None
    boundary_edge: bool
    boundary_f1: float | None
    objects: bool
    instances: FilePath | None
    reference_instances: FilePath | None
    confidence: FilePath | None
    regions: FilePath | None
    regions_field: str | None
    blocks: float | None
    errors: FilePath | None
    unmapped: Literal["ignore", "error"]


class EvaluateObjectsOptions(TypedDict, total=False):
    """Options of `EvaluateObjectsJob`."""

    objects_layer: str | None
    field: str | None
    layer: str | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    single_class: str | int | None
    aoi: FilePath | None
    sizes: float | str | Sequence[float]
    repair: bool
    encoding: str | None
    reference_crs: str | None


class FitOptions(TypedDict, total=False):
    """Options of `FitJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    bands: int | str | Sequence[int | str] | None
    scale: float
    offset: float
    threshold: float | str | Sequence[float] | None
    classes: int | Mapping[Any, Any] | None
    labels: FilePath | None
    field: str | None
    layer: str | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    overlap: Literal["refuse", "first", "last", "file"]
    repair: bool
    encoding: str | None
    all_touched: bool
    trees: int
    depth: int
    leaf: int
    folds: int
    model: FilePath | None
    regions: Literal["watershed", "canny", "slic", "felzenszwalb"] | None
    region_parameters: Mapping[Any, Any]
    margin: int | None
    seed: int
    name: str | None
    licence: str


class LandscapeOptions(TypedDict, total=False):
    """Options of `LandscapeJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    legend: FilePath | Mapping[Any, Any] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    band: int | str | None
    neighbours: Literal["8", "4"]
    count_boundary: bool
    core_depth: float | None


class PredictOptions(TypedDict, total=False):
    """Options of `PredictJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    task: Literal["semantic", "instance", "panoptic"] | None
    tta: Literal["none", "flips", "d4"]
    bands: int | str | Sequence[int | str] | None
    without: str | Sequence[str] | None
    tile: int | None
    margin: int | None
    chunk: int
    stitch: Literal["crop", "blend"]
    batch: int | None
    engine: str
    device: str
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"]
    novelty: bool
    clouds: FilePath | None
    objects_format: str
    square: float | None
    everything: int | None
    aoi: FilePath | None
    force: bool
    allow_missing: bool


class PretrainOptions(TypedDict, total=False):
    """Options of `PretrainJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    encoder: str
    encoder_weights: Literal["hub"] | FilePath | None
    bands: int | str | Sequence[int | str] | None
    steps: int
    batch: int
    crop: int
    augment: Any
    learning_rate: float
    precision: Literal["auto", "fp32", "bf16"]
    validate_every: int
    seed: int


class PromptOptions(TypedDict, total=False):
    """Options of `PromptJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    model: FilePath
    group: str | None
    label: str | None
    coarser: int | None
    square: float | None
    bands: int | str | Sequence[int | str] | None
    layer: str | None
    assume_crs_prompts: str | None
    encoding: str | None
    device: str
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"]
    force: bool


class SampleDesignOptions(TypedDict, total=False):
    """Options of `SampleDesignJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    strata: FilePath | Mapping[Any, Any] | None
    regions: FilePath | None
    regions_field: str | None
    regions_layer: str | None
    buffer: int | None
    buffer_around: str | None
    buffer_in: str | None
    method: Literal["stratified", "simple", "systematic", "two-stage"]
    n: int | None
    target_se: float | None
    target_half_width: float | None
    target_class: str | None
    expect: FilePath | Mapping[Any, Any] | None
    allocation: Literal["equal", "proportional", "neyman", "power"]
    power: float
    minimum: int | None
    n_per_stratum: FilePath | Mapping[Any, Any] | None
    seed: int
    plot: int | None
    plot_shape: Literal["square", "circle"]
    tile: int | None
    tiles: int | None
    interpreters: str | Sequence[str] | None
    overlap: float
    extend: FilePath | None
    legend: FilePath | Mapping[Any, Any] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    band: int | str | None


class EstimateOptions(TypedDict, total=False):
    """Options of `EstimateJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    map: FilePath | None
    band: int | str | None
    another_map: bool
    design: Literal["srs", "stratified", "post-stratified"] | None
    strata_areas: FilePath | Mapping[Any, Any] | None
    label_field: str | None
    map_field: str | None
    stratum_field: str | None
    cluster_field: str | None
    min_confidence: float | None
    layer: str | None
    encoding: str | None
    legend: FilePath | Mapping[Any, Any] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    training: FilePath | None
    ratio: str | Sequence[str]
    confidence: float
    interval: Literal["standard", "adjusted"]
    no_fpc: bool


class SampleExportOptions(TypedDict, total=False):
    """Options of `SampleExportJob`."""

    interpreter: str | None
    ceo: bool


class SampleImportOptions(TypedDict, total=False):
    """Options of `SampleImportJob`."""

    interpreter: str | None
    label_field: str | None
    encoding: str | None


class SampleStatusOptions(TypedDict, total=False):
    """Options of `SampleStatusJob`."""


class SeriesOptions(TypedDict, total=False):
    """Options of `SeriesJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    dates: FilePath | Mapping[Any, Any] | None
    band: int | str | None
    legend: FilePath | Mapping[Any, Any] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    loss_of: str | Sequence[str]
    definition: Literal["A", "A2", "B"]
    rules: FilePath | Mapping[Any, Any] | None
    confidence: str | Sequence[str]
    estimates: FilePath | str | Sequence[FilePath]
    top: int
    no_events: bool
    touch: Literal["edge", "corner"]
    distance: float
    gap_years: float
    min_event: float
    chunk: int | None


class SuggestOptions(TypedDict, total=False):
    """Options of `SuggestJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    confidence: FilePath | None
    labelled: FilePath | None
    layer: str | None
    count: int
    side: int
    crosswalk: FilePath | Mapping[Any, Any] | None
    band: int | str | None


class TrainOptions(TypedDict, total=False):
    """Options of `TrainJob`."""

    classes: Mapping[Any, Any]
    colors: Mapping[Any, Any] | None
    things: str | int | Sequence[str | int] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    bands: int | str | Sequence[int | str] | None
    band_names: str | Sequence[str] | None
    sensors: Mapping[Any, Any] | None
    split: Any
    model: str | None
    encoder: str | None
    arguments: Mapping[Any, Any] | None
    start: FilePath | None
    start_share: float
    encoder_weights: Literal["hub"] | FilePath | None
    steps: int
    batch: int
    crop: int
    sampling: Literal["natural", "balanced", "rare"]
    augment: Any
    loss: Mapping[Any, Any]
    class_weights: Literal["balanced"] | Mapping[Any, Any] | None
    label_smoothing: float
    focal_gamma: float
    tversky_alpha: float
    tversky_beta: float
    learning_rate: float
    weight_decay: float
    clip: float
    schedule: Literal["one_cycle", "cosine", "constant"]
    warmup: float
    average: float
    precision: Literal["auto", "fp32", "bf16"]
    validate_every: int
    validation_windows: int
    light_windows: int
    patience: int | None
    keep: Literal["best", "last"]
    tta: bool
    seed: int
    name: str | None
    version: str
    description: str
    data: str
    credit: str
    licence: str
    limits: str | Sequence[str]
    command: str


class VectorizeOptions(TypedDict, total=False):
    """Options of `VectorizeJob`."""

    majority: int
    opening: int | str | Sequence[int | str | None] | Sequence[Any] | None
    closing: int | str | Sequence[int | str | None] | Sequence[Any] | None
    fill_holes: int
    min_pixels: int
    min_area: float
    small: Literal["merge", "drop"]
    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    confidence: FilePath | None
    conf_min: bool
    fractions: FilePath | None
    fractions_crosswalk: FilePath | Mapping[Any, Any] | None
    fractions_band: int | str | None
    neighbours: bool
    only: int | str | Sequence[int | str]
    simplify: float | None
    method: Literal["visvalingam", "douglas-peucker"]
    smooth: int
    square: int | str | Sequence[int | str]
    max_corners: int
    layer: str
    crs: str | None
    chunk: int | None
    legend: FilePath | Mapping[Any, Any] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
    band: int | str | None


class ZonesOptions(TypedDict, total=False):
    """Options of `ZonesJob`."""

    nodata: float | None
    assume_crs: str | None
    assume_transform: str | None
    pixel_size: float | None
    allow_vrt: bool
    mask: FilePath | None
    mask_values: int | str | Sequence[int] | None
    before: FilePath | None
    cutoff: str | None
    date: str | None
    date_before: str | None
    loss_of: str | Sequence[str]
    max_unknown: float
    min_loss: float | None
    confidence: FilePath | None
    area_field: str | None
    layer: str | None
    assume_crs_plots: str | None
    encoding: str | None
    band: int | str | None
    legend: FilePath | Mapping[Any, Any] | None
    crosswalk: FilePath | Mapping[Any, Any] | None
