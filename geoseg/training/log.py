"""What is written while training runs: metrics.csv, the learning curve, TensorBoard where it is installed."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from geoseg.files import whole
from geoseg.training.checkpoint import TrainingState
from geoseg.training.pictures import learning_curve

OnRow = Callable[[Mapping[str, Any]], None]
"""Takes a row of the history, with the part that it is of, the steps to do and the seconds spent."""


class Log:
    """Writes each validation into a folder; whole files replaced, so that a restart repeats no row.

    Figures are drawn in `colors`, by name, where they have one.
    """

    def __init__(self, folder: Path, colors: Mapping[str, str]) -> None:
        self._folder, self._colors = folder, colors
        self._board: Any = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(self._folder / "tensorboard"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close()

    def telling(self, on_row: OnRow, steps: int, part: str = "") -> Callable[[TrainingState], None]:
        """What writes the history and then tells its last row, of a `part` of so many steps."""

        def after(progress: TrainingState) -> None:
            self.write(progress)
            on_row({**progress.history[-1], "part": part, "steps": steps, "seconds": progress.seconds})

        return after

    def write(self, progress: TrainingState) -> None:
        """Write the history up to now."""
        write_metrics(self._folder / "metrics.csv", progress)
        with whole(self._folder / "curve.png") as picture:
            picture.write_bytes(learning_curve(progress.history, self._colors, progress.best_step))
        if self._board is None:
            return
        row = progress.history[-1]
        numbers = {k: row[k] for k in ("loss", "rate")}
        numbers |= {name: value for name, value in row["figures"].items() if value is not None}
        for key, value in numbers.items():
            self._board.add_scalar(key, value, row["step"])
        self._board.flush()


def write_metrics(path: Path, progress: TrainingState) -> None:
    """CSV with one row per validation: step, loss, rate, and the figures by name."""
    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "loss", "rate", *progress.history[0]["figures"]])
        for row in progress.history:
            writer.writerow([row["step"], row["loss"], f"{row['rate']:.6g}", *row["figures"].values()])
