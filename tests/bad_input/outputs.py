"""Places where results cannot go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bad_input.case import Case, text


def finished(name: str, content: bytes) -> None:
    Path("run").mkdir()
    text(f"run/{name}", content)


def outputs() -> Iterator[Case]:
    """Places to write to, and what lies there."""
    yield Case(
        what="a format that is none",
        command="vectorize BASE/map.tif --out out.dwg",
        code=2,
        says=(".dwg", ".gpkg"),
    )
    yield Case(
        what="a file that is there",
        make=lambda: text("own.gpkg", "mine"),
        command="vectorize BASE/map.tif --out own.gpkg",
        code=6,
        says=("exists", "--overwrite"),
    )
    yield Case(
        what="a side file that is there",
        make=lambda: text("own.dbf", "mine"),
        command="vectorize BASE/map.tif --out own.shp",
        code=6,
        says=("own.dbf", "--overwrite"),
    )
    yield Case(
        what="a folder that is not there",
        command="vectorize BASE/map.tif --out no/out.gpkg",
        code=6,
        says=("no",),
    )
    yield Case(
        what="a file where a folder belongs",
        make=lambda: text("out", "mine"),
        command="change BASE/map.tif BASE/map.tif --out out",
        code=6,
        says=("is a file",),
    )
    yield Case(
        what="a layer name with a slash",
        command="vectorize BASE/map.tif --layer a/b --out out.gpkg",
        code=2,
        says=("layer",),
    )
    yield Case(
        what="a folder that is no run",
        make=lambda: Path("run").mkdir(),
        command="verify run",
        code=3,
        says=("manifest",),
    )
    yield Case(
        what="a manifest that is damaged",
        make=lambda: finished("manifest.json", b'{"digest": 1, "files": []}'),
        command="verify run",
        code=3,
        says=("manifest.json",),
    )
    yield Case(
        what="an account that is damaged",
        make=damaged_account,
        command="predict BASE/scene.tif --model MODEL --out out",
        code=6,
        says=("account", "--overwrite"),
    )


def damaged_account() -> None:
    Path("out/.work").mkdir(parents=True)
    text("out/.work/ledger.sqlite", b"SQLite format 3\x00" + b"\xff" * 4096)
