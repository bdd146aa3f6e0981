"""What int8 costs a model in accuracy, as somebody measured it on labelled scenes: a file of its bundle.

It stands beside ``bundle.json`` and not in it, since the model stays the same whether it was measured or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from geoseg.errors import InputError
from geoseg.files import whole, write_durably
from geoseg.models.bundle import Bundle

FILE = "int8.json"

MOST = 0.3
"""Points of mean IoU up to which a loss is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Loss:
    """Mean IoU of a model in fp32 and in int8, over the pooled counts of labelled scenes.

    Attributes
    ----------
    bundle
        Digest of the bundle that was measured.
    exact, quantised
        Mean IoU, 0 to 1.
    scenes, pixels
        How many were scored.
    date
        Day of the measurement, ISO 8601.
    """

    bundle: str
    exact: float
    quantised: float
    scenes: int
    pixels: int
    date: str

    @property
    def points(self) -> float:
        """Points of mean IoU that int8 loses; negative where it gains."""
        return 100 * (self.exact - self.quantised)

    @property
    def accepted(self) -> bool:
        """Whether that is few enough; not for a score that is not a number."""
        return self.points <= MOST

    def __str__(self) -> str:
        scenes = f"{self.scenes} scene{'s' * (self.scenes > 1)}"
        return (
            f"mean IoU {self.exact:.2%} in fp32, {self.quantised:.2%} in int8, on {scenes} "
            f"({self.pixels / 1e6:.1f} Mpx, {self.date})"
        )


def write_int8_loss(bundle: Bundle, loss: Int8Loss) -> Path:
    """The file in the bundle's folder, written; OutputConflictError where it cannot be."""
    path = bundle.path / FILE
    write_durably(path, json.dumps(asdict(loss), indent=2) + "\n")
    return path


@contextmanager
def measuring_int8_loss(bundle: Bundle) -> Iterator[None]:
    """Context without what was measured of a bundle, which could refuse what is to be measured again.

    It is as before where the context ends early, by an error or an interruption.
    """
    path = bundle.path / FILE
    before = path.read_bytes() if path.is_file() else None
    path.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        if before is not None:
            with whole(path) as partial:
                partial.write_bytes(before)
        raise


def read_int8_loss(bundle: Bundle) -> Int8Loss | None:
    """What was measured for this very bundle; None where nothing was.

    Raises
    ------
    InputError
        A file that does not say it.
    """
    path = bundle.path / FILE
    if not path.is_file():
        return None
    try:
        loss = Int8Loss(**json.loads(path.read_bytes()))
        loss = Int8Loss(
            bundle=str(loss.bundle),
            exact=float(loss.exact),
            quantised=float(loss.quantised),
            scenes=int(loss.scenes),
            pixels=int(loss.pixels),
            date=str(loss.date),
        )
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            "does not say what int8 costs the model",
            where=path,
            why=str(error)[:200],
            hint="geoseg model int8, which measures it, or the file removed",
        ) from None
    return loss if loss.bundle == bundle.digest else None
