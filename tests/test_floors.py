"""The import contract catches what it should: an upward import, and a library in the wrong room."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import geoseg

pytest.importorskip("importlinter", reason="import-linter comes with the extra 'dev' (make lint installs it)")

ROOT = Path(geoseg.__file__).parent.parent
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", LINT, "--no-cache"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "geoseg", tmp_path / "geoseg", ignore=shutil.ignore_patterns("*.safetensors"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(copy: Path, file: str, text: str) -> None:
    path = copy / "geoseg" / file
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as source:
        source.write(f"\n\n{text}\n")


PLANTED = [
    ("errors.py", "import geoseg.geometry", "geoseg.errors is not allowed to import geoseg.geometry"),
    ("geometry/window.py", "if 1:\n    import geoseg.raster", "not allowed to import geoseg.raster"),
    ("regions/label.py", "import geoseg.execution.run", "not allowed to import geoseg.execution"),
    ("raster/scene.py", "from geoseg import predict", "geoseg.raster is not allowed to import geoseg"),
    ("geometry/window.py", "import geoseg.geometry.tiling", "allowed in geoseg.geometry"),
    ("raster/scene.py", "import geoseg.raster.notes", "allowed in geoseg.raster"),
    ("geometry/grid.py", "import rasterio", "geoseg.geometry.grid -> rasterio"),
    ("prediction/stitch.py", "import torch", "geoseg.prediction.stitch -> torch"),
    ("accuracy/matrix.py", "import dask", "geoseg.accuracy.matrix -> dask"),
    ("__init__.py", "import torch", "geoseg -> torch"),
]


def test_planted_imports_are_caught(copy: Path) -> None:
    for file, line, _ in PLANTED:
        plant(copy, file, line)
    result = lint(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    said = " ".join(result.stdout.split())
    assert [says for _, _, says in PLANTED if says not in said] == []


def test_a_new_room_stands_on_no_floor_and_may_import_nothing_heavy(copy: Path) -> None:
    plant(copy, "attic/__init__.py", '"""A room that nobody declared."""')
    plant(copy, "attic/box.py", "import dask\nimport torch\nimport rasterio\nimport geoseg.cli.main")
    result = lint(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    said = " ".join(result.stdout.split())
    assert "not listed as layers: - geoseg.attic" in said
    for library in ("dask", "torch", "rasterio"):
        assert f"geoseg.attic.box -> {library}" in said


def test_the_package_as_it_is_keeps_the_contract(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout
