"""A Sankey diagram of a series as one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape

import numpy as np
from numpy.typing import NDArray

from geoseg.histories.account import Account

_HEIGHT, _COLUMN, _BAR, _GAP, _TOP, _MARGIN = 560, 150, 16, 6, 40, 24
_LEAST = 0.4  # pixels of the screen: thinner flows cannot be seen
_GREY = "#BDBDBD"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:13px sans-serif;margin:16px}} .flow{{fill-opacity:.35}} .flow:hover{{fill-opacity:.75}}
text{{font:12px sans-serif}}
.key span{{display:inline-block;width:12px;height:12px;margin:0 4px 0 14px}}</style>
</head><body><h1 style="font-size:17px">{title}</h1><p class="key">{key}</p>
<div style="overflow-x:auto">{drawing}</div><p>{words}</p></body></html>
"""


def sankey(account: Account, title: str) -> str:
    """HTML text: one column for each date, a bar for each class by its hectares, and what became of it."""
    colors = [*(c.color for c in account.legend.classes), _GREY]
    areas, flows = _within(account)
    shown = [k for k in range(len(colors)) if areas[:, k].any()]
    key = "".join(f'<span style="background:{colors[k]}"></span>{escape(account.classes[k])}' for k in shown)
    words = "Heights are geodesic hectares. Point at a flow to read it."
    drawing = _Drawing(
        account=account,
        names=tuple(account.classes[k] for k in shown),
        colors=tuple(colors[k] for k in shown),
        areas=areas[:, shown],
        moved=flows[:, shown][:, :, shown],
    )
    return _PAGE.format(title=escape(title), key=key, drawing=drawing.svg(), words=words)


def _within(account: Account) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(units by date and class, and from each date to the next) of the pixels that are known at some date."""
    areas, flows = account.tally.classes[1].copy(), account.tally.transitions[1, :-1].copy()
    never = areas[0].sum() - account.tally.known[0]
    areas[:, -1] -= never
    flows[:, -1, -1] -= never
    return areas, flows


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """Columns of bars and the flows between them, in pixels of the screen.

    Attributes
    ----------
    names, colors
        Of the classes shown.
    areas
        (T, classes) int64: units of area.
    moved
        (T - 1, classes, classes) int64: units from each date's class to the next one's.
    """

    account: Account
    names: tuple[str, ...]
    colors: tuple[str, ...]
    areas: NDArray[np.int64]
    moved: NDArray[np.int64]

    @cached_property
    def scale(self) -> float:
        """Pixels of a unit of area."""
        room = _HEIGHT - _GAP * len(self.names)
        return float(room / max(self.areas.astype(np.float64).sum(axis=1).max(), 1.0))

    @cached_property
    def tops(self) -> NDArray[np.float64]:
        """(T, classes): where bars begin."""
        heights = np.hstack([np.zeros((len(self.areas), 1)), self.areas * self.scale + _GAP])
        made: NDArray[np.float64] = np.cumsum(heights, axis=1)[:, :-1] + _TOP
        return made

    def svg(self) -> str:
        """The drawing."""
        dates = self.account.names
        width, height = (len(dates) - 1) * _COLUMN + _BAR + 2 * _MARGIN, _HEIGHT + _TOP + 8
        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">']
        for t in range(len(dates) - 1):
            parts += self._flows(t)
        for t in range(len(dates)):
            parts += self._bars(t)
        return "".join([*parts, "</svg>"])

    def _bars(self, t: int) -> Iterator[str]:
        """Name of a date, and a bar for each class."""
        x, date = _left(t), self.account.names[t]
        yield f'<text x="{x + _BAR / 2:g}" y="{_TOP - 14}" text-anchor="middle">{escape(date)}</text>'
        for name, color, top, units in zip(
            self.names, self.colors, self.tops[t], self.areas[t].tolist(), strict=True
        ):
            if (height := units * self.scale) > 0:
                said = escape(f"{date} {name}: {self.account.hectares(units):,.0f} ha")
                yield (
                    f'<rect x="{x}" y="{top:.2f}" width="{_BAR}" height="{max(height, _LEAST):.2f}" '
                    f'fill="{color}"><title>{said}</title></rect>'
                )

    def _flows(self, t: int) -> Iterator[str]:
        """Bands from the classes of a date to those of the next one."""
        x0, x1 = _left(t) + _BAR, _left(t + 1)
        middle = (x0 + x1) / 2
        out_at, in_at = self.tops[t].copy(), self.tops[t + 1].copy()
        before, after = self.account.names[t : t + 2]
        for i, j in np.argwhere(self.moved[t] > 0).tolist():
            units = int(self.moved[t, i, j])
            height = units * self.scale
            a, b = out_at[i], in_at[j]
            out_at[i], in_at[j] = a + height, b + height
            if height < _LEAST:
                continue
            hectares = self.account.hectares(units)
            said = escape(f"{before} {self.names[i]} → {after} {self.names[j]}: {hectares:,.0f} ha")
            yield (
                f'<path class="flow" fill="{self.colors[i]}" '
                f'd="M{x0} {a:.2f}C{middle:g} {a:.2f} {middle:g} '
                f"{b:.2f} {x1} {b:.2f}V{b + height:.2f}C{middle:g} {b + height:.2f} {middle:g} "
                f'{a + height:.2f} {x0} {a + height:.2f}Z"><title>{said}</title></path>'
            )


def _left(t: int) -> int:
    """Left edge of a date's bars."""
    return _MARGIN + t * _COLUMN
