"""`geoseg doctor`: what is installed here, and whether it works."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import click

from geoseg.cli.say import say
from geoseg.errors import GeosegError, ResourceError
from geoseg.version import __version__

_LIBRARIES = ("numpy", "zarr", "dask", "numba", "geopandas", "shapely", "pyogrio", "pyarrow", "pyproj")
_LEAST_FREE = 2 * 2**30
_LEAST_MEMORY = 3 * 2**30
_SIGNS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    name
        What was looked at.
    state
        ``ok``, ``warn`` (works, but look at it) or ``fail`` (some command will not work).
    found
        What was found.
    hint
        What to do about it.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    hint: str | None = None


@click.command(name="doctor")
def command() -> None:
    """What is installed here, and whether it works. Exit code 5 if something does not."""
    failed = False
    for finding in examine():
        failed |= finding.state == "fail"
        sign, color = _SIGNS[finding.state]
        click.secho(sign, fg=color, nl=False)
        say(f"  {finding.name:<12}  {finding.found}")
        if finding.hint:
            say(f"{'':18}Try: {finding.hint}")
    if failed:
        sys.exit(ResourceError.exit_code)


def examine() -> Iterator[Finding]:
    """Findings of every probe; a probe that raises is a finding too."""
    for name, probe in _PROBES.items():
        try:
            yield from probe()
        except GeosegError as error:
            yield Finding(name=name, state="fail", found=str(error))
        except Exception as error:  # a broken library may raise anything
            yield Finding(
                name=name,
                state="fail",
                found=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
                hint="install geoseg afresh in an empty environment, with -c constraints.txt",
            )


def _python() -> Iterator[Finding]:
    found = f"geoseg {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    known = (3, 11) <= sys.version_info < (3, 15)
    yield Finding(
        name="geoseg",
        state="ok" if known else "warn",
        found=found,
        hint=None if known else "Python 3.11 to 3.14, the versions that geoseg is tested with",
    )


def _libraries() -> Iterator[Finding]:
    yield Finding(
        name="libraries", state="ok", found=", ".join(f"{n} {metadata.version(n)}" for n in _LIBRARIES)
    )
    from geoseg.regions import label  # noqa: F401  (compiled by numba; a broken numba shows here)


def _variables() -> Iterator[Finding]:
    """Variables that point GDAL or PROJ at data of another installation: the wheels bring their own."""
    for name, needed in (("PROJ_DATA", "proj.db"), ("PROJ_LIB", "proj.db"), ("GDAL_DATA", "gdalvrt.xsd")):
        if name in os.environ:
            there = (Path(os.environ[name]) / needed).is_file()
            yield Finding(
                name=name,
                state="warn" if there else "fail",
                found=f"{os.environ[name]} {'may be of another version' if there else f'has no {needed}'}",
                hint=f"unset {name}; rasterio and pyproj bring their own data",
            )


def _gdal() -> Iterator[Finding]:
    from geoseg.raster.probe import has_cog_driver
    from geoseg.raster.versions import library_versions

    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    if has_cog_driver():
        yield Finding(name="GDAL", state="ok", found=versions)
    else:
        yield Finding(
            name="GDAL",
            state="fail",
            found=f"{versions}: no COG driver",
            hint="a rasterio wheel from the package index",
        )


def _proj() -> Iterator[Finding]:
    from geoseg.raster.probe import projection_disagreement

    apart = projection_disagreement()
    if apart < 0.01:
        yield Finding(name="PROJ", state="ok", found="rasterio and pyproj place a point alike")
    else:
        yield Finding(
            name="PROJ", state="fail", found=f"rasterio and pyproj place a point {apart:.2f} m apart"
        )


def _writing() -> Iterator[Finding]:
    from geoseg.raster.probe import round_trip

    with tempfile.TemporaryDirectory() as folder:
        same = round_trip(Path(folder))
    yield Finding(
        name="GeoTIFF",
        state="ok" if same else "fail",
        found="a class map was written and read back" + ("" if same else " with other values"),
    )


def _torch() -> Iterator[Finding]:
    from geoseg.engines.hardware import cpu_formats, cuda_devices, torch_build

    yield Finding(name="torch", state="ok", found=torch_build())
    devices = cuda_devices()
    yield Finding(name="GPU", state="ok", found="; ".join(devices) or "none; the CPU is used")
    formats = cpu_formats()
    fast = any(name.endswith("bf16") for name in formats)
    yield Finding(
        name="CPU",
        state="ok",
        found=f"{os.cpu_count()} cores, {' '.join(formats) or 'no vector formats known'}"
        f" ({'bf16 in hardware' if fast else 'no bf16; fp32 is used'})",
    )


def _bundles() -> Iterator[Finding]:
    from geoseg.models.bundle import list_bundles, load_bundle

    names = list_bundles()
    for name in names:
        bundle = load_bundle(name, verify=True)
        yield Finding(name="model", state="ok", found=f"{name}: weights match {bundle.digest[:12]}")
    if not names:
        yield Finding(
            name="model", state="fail", found="no shipped model found", hint="install geoseg afresh"
        )


def _room() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    little = memory.available < _LEAST_MEMORY
    yield Finding(
        name="memory",
        state="warn" if little else "ok",
        found=found,
        hint="a smaller --chunk" if little else None,
    )
    for name, folder in {"here": Path.cwd(), "temporary": Path(tempfile.gettempdir())}.items():
        free = shutil.disk_usage(folder).free
        yield Finding(
            name="disk",
            state="ok" if free > _LEAST_FREE else "warn",
            found=f"{name}: {free / 2**30:.1f} GiB free in {folder}",
        )


def _loopback() -> Iterator[Finding]:
    """Workers on this machine talk to each other through the loopback interface."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as client,
        server.accept()[0] as connection,
    ):
        client.sendall(b"geoseg")
        heard = connection.recv(6)
    yield Finding(
        name="loopback",
        state="ok" if heard == b"geoseg" else "fail",
        found="workers can be reached on 127.0.0.1",
    )


_PROBES: dict[str, Callable[[], Iterator[Finding]]] = {
    "geoseg": _python,
    "libraries": _libraries,
    "environment": _variables,
    "GDAL": _gdal,
    "PROJ": _proj,
    "GeoTIFF": _writing,
    "torch": _torch,
    "model": _bundles,
    "room": _room,
    "loopback": _loopback,
}
