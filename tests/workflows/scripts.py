"""Workflows are scripts, not a package: load one by its file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parents[2] / "workflows"


def load_script(name: str) -> ModuleType:
    """Module of ``workflows/<name>.py``, with its neighbours importable as when it is run."""
    spec = importlib.util.spec_from_file_location(f"workflow_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(FOLDER))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module
