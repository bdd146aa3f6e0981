"""Bundles: a model as a directory of two plain files, ``bundle.json`` and ``model.safetensors``.

Neither file can run code. Reading, listing and describing bundles loads no deep-learning library.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import InputError, UsageError
from geoseg.files import require_new_folder, sha256_of, whole
from geoseg.models.description import REQUIRED, ModelDescription
from geoseg.models.object_rule import Task
from geoseg.version import __version__

if TYPE_CHECKING:
    from torch import nn

_OF_PIXELS, _OF_OBJECTS = 1, 2
"""Format versions: what reads the first alone takes every model for one that is semantic and nothing else."""
PRETRAINED = Path(__file__).parent / "pretrained"
"""Folder of the bundles that come with geoseg, one directory each."""

_JSON, _WEIGHTS = "bundle.json", "model.safetensors"
_REQUIRED = ("format_version", *REQUIRED, "weights")
_CAN_RUN_CODE = frozenset(
    [".pt", ".pth", ".ckpt", ".pt2", ".pkl", ".pickle", ".bin", ".joblib", ".h5", ".keras"]
)
_MAX_JSON_BYTES = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle(ModelDescription):
    """A model on disk: what it is, and where its files lie; its weights are not in memory.

    Attributes
    ----------
    path
        Directory that holds the two files.
    weights_sha256
        SHA-256 of ``model.safetensors``.
    weights_bytes
        Size of ``model.safetensors``.
    digest
        SHA-256 over both files: two bundles with the same digest are the same model.
    """

    path: Path
    weights_sha256: str
    weights_bytes: int
    digest: str

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to a worker as its path and task; the worker reads and checks the files itself."""
        return _load_answering, (self.path, self.task)

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.path / _WEIGHTS


def _load_answering(path: Path, task: Task) -> Bundle:
    return load_bundle(path).answering(task)


def own_bundles() -> Path:
    """Folder of the bundles that the user keeps by name: ``$GEOSEG_MODELS``, else one in the home folder."""
    if given := os.environ.get("GEOSEG_MODELS"):
        return Path(given)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "geoseg" / "models"


def list_bundles() -> tuple[str, ...]:
    """Names of the bundles that come with geoseg, then of those that the user keeps (`own_bundles`)."""
    named = (sorted(f.parent.name for f in place.glob(f"*/{_JSON}")) for place in (PRETRAINED, own_bundles()))
    return tuple(dict.fromkeys(itertools.chain.from_iterable(named)))


def load_bundle(name_or_path: str | Path, *, verify: bool = True) -> Bundle:
    """Bundle of a name (see `list_bundles`) or of a directory.

    Parameters
    ----------
    name_or_path
        Name or directory.
    verify
        Compare the weights with the SHA-256 in ``bundle.json``; leave it out only to describe a bundle.

    Raises
    ------
    InputError
        Nothing there, a file that can run code, a missing field, or weights that were changed.
    """
    folder = _find(name_or_path)
    file = folder / _JSON
    try:
        if file.stat().st_size > _MAX_JSON_BYTES:
            raise InputError("too large for a bundle description", where=file)
        content = file.read_bytes()
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError("not valid JSON", where=file, why=str(error)) from None
    except OSError as error:
        raise InputError("cannot be read", where=file, why=str(error)) from None
    bundle = _parse(raw, folder, content)
    if verify:
        _verify(bundle)
    return bundle


def save_bundle(
    path: str | Path,
    network: nn.Module,
    model: ModelDescription,
    *,
    half: bool = False,
    overwrite: bool = False,
    card: str | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Bundle written to a directory, whole or not at all.

    Parameters
    ----------
    path
        Directory to make; its last part is best the name.
    network
        Module whose ``state_dict`` are the weights.
    model
        What else there is to say; the version of geoseg is added to its provenance.
    half
        Store floating-point weights as float16: half the size. They are read back as float32.
    overwrite
        Replace a bundle that is there.
    card
        Text of a ``README.md`` beside the two files.
    files
        Further files by name, such as the card's pictures.

    Raises
    ------
    InputError
        Weights that are not finite or that do not fit the architecture, the bands and the classes.
    OutputConflictError
        The directory exists.
    """
    from geoseg.models.weights import check_weights, write_weights

    target = Path(path).absolute()
    require_bundle_place(target, overwrite=overwrite)
    shape = {"bands": len(model.contract.bands), "classes": len(model.legend)}
    check_weights(network.state_dict(), model.architecture, **shape)
    with whole(target) as partial:
        partial.mkdir()
        write_weights(network.state_dict(), partial / _WEIGHTS, half=half)
        said = model.to_json()
        raw = {
            "format_version": _version(said),
            **said,
            "provenance": {"geoseg": __version__, **said["provenance"]},
            "weights": {
                "file": _WEIGHTS,
                "sha256": sha256_of(partial / _WEIGHTS),
                "bytes": (partial / _WEIGHTS).stat().st_size,
            },
        }
        text = json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (partial / _JSON).write_text(text, encoding="utf-8")
        for extra, content in {**(files or {}), **({"README.md": card.encode()} if card else {})}.items():
            (partial / Path(extra).name).write_bytes(content)
        load_bundle(partial)
    return load_bundle(target)


def require_bundle_place(
    path: Path, *, overwrite: bool, inputs: Iterable[Path] = (), start: str | Path | None = None
) -> None:
    """Nothing, if a bundle may be written to a directory; else OutputConflictError.

    Parameters
    ----------
    overwrite
        Another bundle may be replaced, and nothing but a bundle.
    inputs, start
        What must not be replaced in any case: files and folders, and a bundle by its name or folder.
    """
    given = [*inputs, *([] if start is None else [_find(start)])]
    require_new_folder(path, overwrite=overwrite, inputs=given, marks=[_JSON])


def _find(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    folder = Path(text)
    if folder.suffix.lower() in _CAN_RUN_CODE:
        raise InputError(
            "refused, a file of this kind can run code when it is loaded",
            where=text,
            hint="geoseg model import, which makes a bundle of it (docs/models.md)",
        )
    if isinstance(name_or_path, str) and re.fullmatch(r"[\w.\-]+", text) and text not in {".", ".."}:
        for place in (PRETRAINED, own_bundles()):
            if (place / text / _JSON).is_file():
                return (place / text).absolute()
        if not folder.exists():
            raise _unknown(text)
    if not folder.exists():
        raise InputError("not found", where=folder.absolute(), hint=_known_hint())
    if not folder.is_dir():
        raise InputError("a model is a directory", where=text, why="this is a file", hint=_known_hint())
    for needed in (_JSON, _WEIGHTS):
        if not (folder / needed).is_file():
            raise InputError(f"not a model bundle: {needed} is missing", where=folder, hint=_known_hint())
    return folder.absolute()


def _unknown(name: str) -> InputError:
    names = list_bundles()
    near = difflib.get_close_matches(name, names, n=1)
    return InputError(
        f"no model is called {name!r}",
        why=f"there are {', '.join(names)}" if names else "none come with this installation",
        hint=f"`model={near[0]}`"
        if near
        else "one of these, the path of a bundle directory, or geoseg model get for public models",
    )


def _known_hint() -> str:
    return f"one of {', '.join(list_bundles())}, or the path of a bundle directory"


def _parse(raw: Any, folder: Path, content: bytes) -> Bundle:
    file = folder / _JSON
    if not isinstance(raw, dict):
        raise InputError("not a bundle description", where=file, why=f"found {type(raw).__name__}")
    missing = [key for key in _REQUIRED if key not in raw]
    if missing:
        raise InputError("fields are missing", where=file, why=f"missing are {', '.join(missing)}")
    expected = _version(raw)
    if raw["format_version"] != expected:
        raise InputError(
            "bundle of another format version",
            where=file,
            why=f"found {raw['format_version']}, expected {expected}",
            hint="a geoseg of the version that wrote it",
        )
    try:
        sha256 = str(raw["weights"]["sha256"])
        model = ModelDescription.from_json(raw)
        return Bundle(
            **{f.name: getattr(model, f.name) for f in fields(model)},
            path=folder.absolute(),
            weights_sha256=sha256,
            weights_bytes=int(raw["weights"]["bytes"]),
            digest=hashlib.sha256(content + sha256.encode()).hexdigest(),
        )
    except KeyError as error:
        raise InputError("fields are missing", where=file, why=f"missing is {error}") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError("a field has a wrong form", where=file, why=str(error)) from None
    except (InputError, UsageError) as error:
        raise InputError(error.what, where=file, why=error.why, hint=error.hint) from None


def _version(raw: Mapping[str, Any]) -> int:
    """Format version of a description."""
    semantic = "tasks" not in raw and raw.get("task", "semantic") == "semantic"
    return _OF_PIXELS if semantic else _OF_OBJECTS


def _verify(bundle: Bundle) -> None:
    found = sha256_of(bundle.weights)
    if found != bundle.weights_sha256:
        raise InputError(
            "the weights are not the ones that the bundle describes",
            where=bundle.weights,
            why=f"SHA-256 found {found}, expected {bundle.weights_sha256}",
            hint="copying the bundle again from where it came",
        )
