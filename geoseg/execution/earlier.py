"""The finished run that is already in a folder: taken where it is the same and whole, else refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.errors import OutputConflictError
from geoseg.execution.ledger import differences
from geoseg.execution.manifest import MANIFEST, read_manifest, verify_files


def earlier_run(out: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Manifest of the finished run in a folder, whose files were checked; None where there is none.

    Raises
    ------
    OutputConflictError
        It is a run of another identity, or its files were changed since.
    """
    if not (out / MANIFEST).exists():
        return None
    manifest = read_manifest(out)
    hint = "`overwrite` to replace it, or another `out`"
    if changed := differences(manifest.get("identity"), dict(identity)):
        why = f"changed: {'; '.join(changed[:5])}"
        raise OutputConflictError("another run's output is here", where=out, why=why, hint=hint)
    if broken := [f"{name}: {fault}" for name, fault in verify_files(out, added=False) if fault]:
        why = "; ".join(broken)
        raise OutputConflictError("this run's output was changed", where=out, why=why, hint=hint)
    return manifest
