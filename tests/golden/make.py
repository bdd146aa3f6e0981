"""Write golden.json anew from the version at hand: ``python -m tests.golden.make [case ...]``.

Only where a change of values is meant; the difference of golden.json then shows what changed.
GEOSEG_DATA names the folder of real imagery.
"""

from __future__ import annotations

import json
import os
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


def main(names: list[str]) -> None:
    """Run the cases named, or all, and write their content."""
    golden: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    golden["machine"] = machine()
    cases = golden.setdefault("cases", {})
    for name in names or CASES:
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache  # the engine that a user's cache remembers decides nothing
            (Path(cache) / "geoseg").mkdir()
            (Path(cache) / "geoseg" / "short").touch()  # nor one that is found for short scenes
            cases[name] = CASES[name].run(Path(folder), Path(os.environ["GEOSEG_DATA"]))
        print(f"{name}: {time.process_time() - start:.1f} s of CPU", flush=True)
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
