"""`geoseg doctor`: it runs, and it finds what is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from geoseg.cli import doctor
from geoseg.cli.doctor import Finding, examine
from geoseg.errors import InputError


def test_this_environment_is_sound() -> None:
    findings = {f.name: f for f in examine()}
    assert [f for f in findings.values() if f.state == "fail"] == []
    assert {"geoseg", "libraries", "GDAL", "PROJ", "GeoTIFF", "torch", "model", "loopback"} <= set(findings)


def test_a_stale_projection_database_is_found(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "geoseg", "doctor"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PROJ_DATA": str(tmp_path)},
    )
    assert result.returncode == 5
    assert f"FAIL  PROJ_DATA     {tmp_path} has no proj.db" in result.stdout
    assert "Try: unset PROJ_DATA" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def broken() -> Iterator[Finding]:
    raise ImportError("libsomething.so: cannot open\nshared object file")


def refusing() -> Iterator[Finding]:
    raise InputError("weights do not match", where="bundle", hint="install geoseg afresh")


def warning() -> Iterator[Finding]:
    yield Finding(name="disk", state="warn", found="1 GiB free")


@pytest.mark.parametrize(
    ("probe", "code", "says"),
    [
        (broken, 5, "FAIL  probe         ImportError: libsomething.so: cannot open shared object file"),
        (refusing, 5, "bundle: weights do not match. Try: install geoseg afresh."),
        (warning, 0, "warn  disk          1 GiB free"),
    ],
)
def test_a_probe_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, probe: object, code: int, says: str
) -> None:
    monkeypatch.setattr(doctor, "_PROBES", {"probe": probe})
    result = CliRunner().invoke(doctor.command)
    assert result.exit_code == code
    assert says in result.output
