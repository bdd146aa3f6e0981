"""Job files, legends, crosswalks and options."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bad_input.case import Case, text


def settings() -> Iterator[Case]:
    """Options and job files."""
    yield Case(
        what="an unknown option",
        command="predict BASE/scene.tif --modle MODEL --out out",
        code=2,
        says=("--modle", "--model"),
    )
    yield Case(what="an unknown command", command="predikt a.tif", code=2, says=("predict",))
    yield Case(
        what="a tile that does not fit the network",
        command="predict BASE/scene.tif --tile 100 --model MODEL --out out",
        code=2,
        says=("--tile",),
    )
    yield Case(
        what="a tile that is all margin",
        command="predict BASE/scene.tif --tile 64 --margin 32 --model MODEL --out out",
        code=2,
        says=("--tile 64", "--margin"),
    )
    yield Case(
        what="two limits of one kind",
        command="vectorize BASE/map.tif --min-pixels 4 --min-area 1 --out out.gpkg",
        code=2,
        says=("exclude each other",),
    )
    yield Case(
        what="a CRS that is none",
        command="vectorize BASE/map.tif --crs EPSG:99999 --out out.gpkg",
        code=2,
        says=("EPSG:99999",),
    )
    yield Case(what="a job file that is not there", command="run none.yaml", code=3, says=("not found",))
    yield Case(
        what="an unknown key in a job file",
        make=lambda: text("job.yaml", "predict: {scene: a.tif, modell: x, out: out}\n"),
        command="run job.yaml",
        code=2,
        says=("modell", "model"),
    )
    yield Case(
        what="a key that stands twice",
        make=lambda: text("job.yaml", "predict: {}\npredict: {}\n"),
        command="run job.yaml",
        code=3,
        says=("stands twice",),
    )
    yield Case(
        what="anchors that expand without bound",
        make=lambda: text("job.yaml", "a: &a [1, 2]\nb: [*a, *a]\n"),
        command="run job.yaml",
        code=3,
        says=("aliases",),
    )
    yield Case(
        what="a job file without keys",
        make=lambda: text("job.yaml", "- a\n- b\n"),
        command="run job.yaml",
        code=3,
        says=("mapping",),
    )
    yield Case(
        what="a NUL in a name",
        make=lambda: text("job.yaml", 'predict: {scene: "a\\0.tif", model: forest-s2-rgb, out: out}\n'),
        command="run job.yaml",
        code=3,
        says=("NUL",),
    )
