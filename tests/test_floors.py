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


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("errors.py", "import geoseg.geometry", "errors is not allowed to import geoseg.geometry"),
        ("geometry/window.py", "if 1:\n    import geoseg.raster", "not allowed to import geoseg.raster"),
        ("regions/label.py", "import geoseg.execution.run", "not allowed to import geoseg.execution"),
        ("geometry/grid.py", "import rasterio", "geoseg.geometry is not allowed to import rasterio"),
        ("prediction/stitch.py", "import torch", "geoseg.prediction is not allowed to import torch"),
        ("accuracy/matrix.py", "import dask", "geoseg.accuracy is not allowed to import dask"),
    ],
)
def test_a_planted_import_is_caught(copy: Path, file: str, line: str, says: str) -> None:
    with (copy / "geoseg" / file).open("a") as source:
        source.write(f"\n\n{line}\n")
    result = lint(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert says in " ".join(result.stdout.split())


def test_the_package_as_it_is_keeps_the_contract(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout
