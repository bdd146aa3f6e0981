"""Before and after: what the chain makes of small scenes is, value for value, what it made before.

A value that changes by intent is written anew by ``python -m tests.golden.make``, and the changelog says why.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.golden.cases import CASES, Case
from tests.golden.content import differences
from tests.golden.make import GOLDEN, run

# drawn masks and photographs have no place on earth
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def _check(name: str, case: Case, folder: Path, data: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    if case.floats:
        here, content = run(name, folder, data)
        if golden["machine"] != here:
            pytest.skip(
                f"floating point of another machine: golden values of {golden['machine']}, here {here}"
            )
    else:
        content = json.loads(json.dumps(case.run(folder, data)))
    changed = differences(golden["cases"][name], content)
    assert not changed, f"{len(changed)} values changed:\n" + "\n".join(changed[:40])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.real])
def test_drawn(name: str, tmp_path: Path) -> None:
    _check(name, CASES[name], tmp_path, tmp_path)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.real])
def test_real(name: str, tmp_path: Path, shared_data: Path) -> None:
    _check(name, CASES[name], tmp_path, shared_data)


def test_a_changed_value_is_seen() -> None:
    golden = json.loads(GOLDEN.read_text())["cases"]["references"]
    spoiled = json.loads(json.dumps(golden))
    spoiled["plain.shp"]["geometries"] = "0"
    spoiled["scores"]["overall"]["kappa"] += 0.001
    spoiled["reference"]["new key"] = 1
    del spoiled["change"]["total"]["changed_ha"]
    assert [d.split(":")[0] for d in differences(golden, spoiled)] == [
        "/change/total/changed_ha",
        "/scores/overall/kappa",
        "/plain.shp/geometries",
    ]
