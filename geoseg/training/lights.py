"""What other lights do to a model's scores, for its bundle and its card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from geoseg.accuracy.card import rounded
from geoseg.tables import markdown
from geoseg.training.card import wrapped
from geoseg.training.light import Light

F = TypeVar("F")


def light_scores(found: Mapping[Light, F], measures: Mapping[str, Callable[[F], float]]) -> dict[str, Any]:
    """Each score as it is, and mean and worst over the other lights, in the form of ``bundle.json``.

    Parameters
    ----------
    found
        What was found by light, the first as it is.
    measures
        Name of a score to what it is of a finding.
    """
    table: dict[str, Any] = {"lights": len(found) - 1}
    for name, measure in measures.items():
        same, *other = (measure(finding) for finding in found.values())
        table[name] = {
            "as_it_is": rounded(same),
            "mean": rounded(float(np.mean(other))),
            "worst": rounded(min(other)),
        }
    return table


def light_table(
    found: Mapping[Light, F],
    measures: Mapping[str, Callable[[F], float]],
    words: Sequence[str],
    columns: Sequence[str],
    row: Callable[[F], Sequence[str]],
) -> str:
    """The card's part on the scores in every light.

    Parameters
    ----------
    words
        The measures' names in words.
    columns, row
        Headings of the table, and a finding's cells.
    """
    table = light_scores(found, measures)
    said = [
        f"{word} {own['as_it_is']:.4f} as it is, {own['mean']:.4f} in the mean, {own['worst']:.4f} at worst"
        for word, own in zip(words, (table[name] for name in measures), strict=True)
    ]
    text = (
        f"**Accuracy under changed light**: the same pixels in {table['lights']} other lights. Contrast and "
        "gamma turn around each scene's own mean, gain around raw zero, haze is a share of bright light over "
        f"everything; values are rounded and cut off as in a file. {', '.join(said)}."
    )
    rows = [
        [*(f"{v:g}" for v in (light.contrast, light.gamma, light.gain, light.haze)), *row(finding)]
        for light, finding in found.items()
    ]
    head = ["contrast", "gamma", "gain", "haze", *columns]
    return "\n".join(["", wrapped(text), "", markdown(head, rows)]) + "\n"
