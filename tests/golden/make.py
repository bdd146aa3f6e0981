"""Write golden.json anew from the version at hand: ``python -m tests.golden.make [case ...]``.

Only where a change of values is meant; the difference of golden.json then shows what changed.
GEOSEG_DATA names the folder of real imagery.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.golden.cases import CASES

GOLDEN = Path(__file__).with_name("golden.json")


def machine() -> dict[str, str]:
    """What the last bits of floating-point results depend on."""
    import platform

    import sklearn
    import torch

    return {
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "torch": torch.__version__.split("+")[0],
        "scikit-learn": sklearn.__version__,
    }


def run(name: str, folder: Path, data: Path) -> tuple[dict[str, str], Any]:
    """The machine that it was run on, and a case's content, on a processor that does no more than AVX2.

    Newer ones sum in another order. What limits them is read once, as torch is loaded, so that it takes a
    process of its own.
    """
    code = (
        "import json, sys; from pathlib import Path; from tests.golden.make import CASES, machine; "
        "name, folder, data, out = sys.argv[1:]; content = CASES[name].run(Path(folder), Path(data)); "
        "Path(out).write_text(json.dumps([machine(), content]))"
    )
    out = folder / "content.json"
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(folder), str(data), str(out)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, content = json.loads(out.read_text())
    return found, content


def main(names: list[str]) -> None:
    """Run the cases named, or all, and write their content."""
    golden: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    cases = golden.setdefault("cases", {})
    for name in names or CASES:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache  # the engine that a user's cache remembers decides nothing
            (Path(cache) / "geoseg").mkdir()
            (Path(cache) / "geoseg" / "short").touch()  # nor one that is found for short scenes
            golden["machine"], cases[name] = run(name, Path(folder), Path(os.environ["GEOSEG_DATA"]))
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
