"""What is loaded when, and what may not stand in the sources at all."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import geoseg
from tests.raster.makers import write

PACKAGE = Path(geoseg.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {
    "torch", "dask", "distributed", "numba", "rasterio", "numpy", "pyproj", "zarr", "pandas", "geopandas",
    "matplotlib", "scipy", "sklearn", "pydantic", "xarray",
}  # fmt: skip


SLOW = HEAVY | {
    "pyogrio",
    "pyarrow",
    "onnx",
    "onnxruntime",
    "openvino",
    "timm",
    "torchvision",
    "skimage",
    "openpyxl",
}
"""Libraries that take a tenth of a second and more to load."""


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    report = "import json, sys; print('\\n' + json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=300
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import geoseg; geoseg.__version__",
        "from geoseg.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    ],
    ids=["import", "--help"],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert loaded_by(code) & HEAVY == set()


def test_jobs_are_light() -> None:
    """A command makes its options from its job, also when it is only asked for help.

    ``email`` comes with the entry points that pydantic looks for when it builds a validation.
    """
    rooms = sorted(p.parent.name for p in PACKAGE.glob("*/job.py"))
    code = "\n".join(f"import geoseg.{room}.job" for room in rooms)
    assert loaded_by(code) & (HEAVY - {"pydantic"} | {"yaml", "email"}) == set()


def test_commands_load_what_they_use(tmp_path: Path) -> None:
    """One after the other in one process: what a command loads is what is there after it.

    Of libraries that take a second to load, pandas comes with geopandas, and geopandas with pyogrio.
    """
    rng = np.random.default_rng(0)
    for name in ("a.tif", "b.tif"):
        write(tmp_path / name, rng.integers(0, 3, (64, 64)).astype(np.uint8), nodata=255)
    a, b, out = (str(tmp_path / name) for name in ("a.tif", "b.tif", "out"))
    commands = [
        ["evaluate", a, b, "--out", f"{out}.json"],
        ["change", a, b, "--out", out],
        ["vectorize", a, "--out", f"{out}.gpkg"],
    ]
    code = f"""
import sys
from geoseg.cli.main import main
for command in {commands!r}:
    try: main(command)
    except SystemExit as end: assert not end.code, (command, end.code)
    print("loaded", *sorted({{m.split(".")[0] for m in sys.modules}}))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = [set(line.split()[1:]) for line in run.stdout.splitlines() if line.startswith("loaded ")]
    always = {"numpy", "rasterio", "pyproj", "pydantic"}
    assert loaded[0] & SLOW == always
    assert loaded[1] & SLOW == always | {"pyarrow"}
    assert loaded[2] & SLOW == always | {"pyarrow"}


@pytest.mark.slow
def test_a_network_that_was_exported_before_runs_without_torch(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    write(tmp_path / "a.tif", np.full((3, 64, 64), 99, np.uint8), nodata=None)
    code = f"""
import sys
from geoseg.cli.main import main
command = ["predict", {str(tmp_path / "a.tif")!r}, "--model", "forest-s2-rgb", "--engine", "onnx"]
try: main([*command, "--out", {str(tmp_path / "out")!r}, "--overwrite"])
except SystemExit as end: assert not end.code
"""
    loaded_by(code)
    assert loaded_by(code) & SLOW == {
        "numpy",
        "rasterio",
        "pyproj",
        "pydantic",
        "pyarrow",
        "zarr",
        "onnxruntime",
    }


def test_every_exported_name_exists() -> None:
    for name in geoseg.__all__:
        assert getattr(geoseg, name) is not None
    assert set(dir(geoseg)) == set(geoseg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'predictt'"):
        geoseg.predictt  # noqa: B018


def dotted(node: ast.expr) -> str:
    """Name of what is called: `a.b.c` for attributes, the last part where the start is an expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return f"{start}.{node.attr}" if start else node.attr
    return ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_that_runs_code_from_a_file() -> None:
    forbidden_calls = {
        "eval", "exec", "compile", "torch.load", "torch.serialization.load", "torch.jit.load", "yaml.load",
        "yaml.unsafe_load", "os.system",
    }  # fmt: skip
    forbidden_imports = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch.load"}
    found: list[str] = []
    allowed: list[str] = []
    for path in SOURCES:
        for name, call in calls(path):
            if (
                name == "torch.load"
                and path == PACKAGE / "models" / "importing.py"
                and reads_tensors_only(call)
            ):
                allowed.append(name)
                continue
            shell = any(
                k.arg == "shell" and not (isinstance(k.value, ast.Constant) and k.value.value is False)
                for k in call.keywords
            )
            if name in forbidden_calls or shell:
                found.append(f"{path.relative_to(PACKAGE)}:{call.lineno} {name}")
        found += [f"{path.relative_to(PACKAGE)} imports {m}" for m in imports(path) if m in forbidden_imports]
    assert found == []
    assert len(allowed) == 1  # geoseg model import


def reads_tensors_only(call: ast.Call) -> bool:
    """Whether it says `weights_only=True` in so many words, and nothing that could say otherwise."""
    said = [k.value for k in call.keywords if k.arg == "weights_only"]
    spelled_out = all(k.arg is not None for k in call.keywords) and len(call.args) == 1
    return spelled_out and len(said) == 1 and isinstance(said[0], ast.Constant) and said[0].value is True


@pytest.mark.parametrize(
    ("code", "safe"),
    [
        ("torch.load(file, weights_only=True)", True),
        ("torch.load(file)", False),
        ("torch.load(file, weights_only=False)", False),
        ("torch.load(file, weights_only=flag)", False),
        ("torch.load(file, weights_only=1)", False),
        ("torch.load(file, **options, weights_only=True)", False),
        ("torch.load(file, None, pickle, weights_only=True)", False),
    ],
)
def test_only_the_safe_way_of_reading_a_checkpoint_passes(code: str, safe: bool) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    assert reads_tensors_only(call) is safe


def test_rasters_are_opened_for_reading_in_one_place() -> None:
    """Every read goes through the checks of raster/open.py (disguised files, network, block sizes)."""
    found = [
        f"{path.relative_to(PACKAGE).as_posix()}:{call.lineno}"
        for path in SOURCES
        if path != PACKAGE / "raster" / "open.py"
        for name, call in calls(path)
        if name == "rasterio.open" and not writes(call)
    ]
    assert found == []


def writes(call: ast.Call) -> bool:
    mode = (
        call.args[1]
        if len(call.args) > 1
        else next((k.value for k in call.keywords if k.arg == "mode"), None)
    )
    return isinstance(mode, ast.Constant) and mode.value in {"w", "w+", "r+"}


def test_no_room_without_a_name_of_its_own() -> None:
    vague = {"utils", "util", "common", "helpers", "helper", "misc", "base", "manager"}
    assert [p.name for p in SOURCES if p.stem in vague] == []
