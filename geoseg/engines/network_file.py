"""A bundle's network as an ONNX file in the user's cache: what engines other than torch read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from geoseg.engines.libraries import version_of
from geoseg.errors import ResourceError
from geoseg.files import cache_folder, keep_newest
from geoseg.models.bundle import Bundle

INT8 = "-int8-"
"""In the names of files that were quantised from another, in the same folder."""

_KEPT = 64
_WRITERS = ("torch", "onnx", "onnxscript")
_BUILDERS = ("geoseg", "torch", "timm", "segmentation-models-pytorch")


def written_by() -> Mapping[str, str]:
    """Versions of the libraries that write the file: others may write another graph."""
    return {name: version_of(name) for name in _WRITERS}


def network_file(bundle: Bundle, height: int, width: int) -> Path:
    """ONNX file of a bundle's network for one tile (1, C, height, width); written once, then found again.

    The cache keeps those that were used last.

    Input ``x`` is normalised float32, output ``logits``. Where it is found, no torch is imported.

    Raises
    ------
    ResourceError
        The packages that write it are not installed, or ONNX lacks an operation of the network.
    """
    path = cached_file(bundle, height, width)
    if not path.is_file():
        missing = [name for name in _WRITERS if find_spec(name) is None]
        if missing:
            raise ResourceError(
                "this engine needs packages that are not installed",
                why=f"missing: {', '.join(missing)}",
                hint="pip install 'geoseg[onnx]'",
            )
        from geoseg.engines.onnx_export import write_network

        write_network(bundle, path, height, width)
        keep_newest((file for file in path.parent.glob("*.onnx") if INT8 not in file.name), _KEPT)
    else:
        with suppress(OSError):  # a cache that others fill may be read only
            path.touch()
    return path


def sound_file(bundle: Bundle) -> Path:
    """File whose presence says that a bundle's weights fit its architecture as these libraries build it."""
    built_by = {name: version_of(name) for name in _BUILDERS}
    key = hashlib.sha256(repr((bundle.digest, sorted(built_by.items()))).encode()).hexdigest()
    return cache_folder() / "sound" / key[:32]


def cached_file(bundle: Bundle, height: int, width: int) -> Path:
    """Where that file lies or would lie."""
    key = repr((bundle.digest, height, width, sorted(written_by().items())))
    name = f"{bundle.name}-{height}x{width}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.onnx"
    return cache_folder() / "networks" / name
