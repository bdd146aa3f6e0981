"""A Sankey diagram of a series as one HTML file that loads nothing."""

from __future__ import annotations

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
    return _PAGE.format(
        title=escape(title),
        key=key,
        drawing=_drawing(account, areas[:, shown], flows[:, shown][:, :, shown], colors, shown),
        words=words,
    )


def _within(account: Account) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(units by date and class, and from each date to the next) of the pixels that are known at some date."""
    areas, flows = account.tally.classes[1].copy(), account.tally.transitions[1, :-1].copy()
    never = areas[0].sum() - account.tally.known[0]
    areas[:, -1] -= never
    flows[:, -1, -1] -= never
    return areas, flows


def _drawing(
    account: Account,
    areas: NDArray[np.int64],
    moved: NDArray[np.int64],
    colors: list[str],
    shown: list[int],
) -> str:
    units, flows = areas.astype(np.float64), moved.astype(np.float64)
    dates = len(account.names)
    scale = (_HEIGHT - _GAP * len(shown)) / max(units.sum(axis=1).max(), 1.0)
    starts = np.cumsum(np.hstack([np.zeros((dates, 1)), units * scale + _GAP]), axis=1)[:, :-1] + _TOP
    width = (dates - 1) * _COLUMN + _BAR + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT + _TOP + 8}" role="img">'
    ]
    for t in range(dates - 1):
        parts += _flows(account, t, moved[t], flows[t] * scale, starts[t], starts[t + 1], colors, shown)
    for t, name in enumerate(account.names):
        x = _MARGIN + t * _COLUMN
        parts.append(f'<text x="{x + _BAR / 2:g}" y="{_TOP - 14}" text-anchor="middle">{escape(name)}</text>')
        for place, k in enumerate(shown):
            if (height := units[t, place] * scale) > 0:
                said = escape(
                    f"{name} {account.classes[k]}: {account.hectares(int(units[t, place])):,.0f} ha"
                )
                parts.append(
                    f'<rect x="{x}" y="{starts[t, place]:.2f}" width="{_BAR}" '
                    f'height="{max(height, _LEAST):.2f}" '
                    f'fill="{colors[k]}"><title>{said}</title></rect>'
                )
    return "".join([*parts, "</svg>"])


def _flows(
    account: Account,
    t: int,
    moved: NDArray[np.int64],
    heights: NDArray[np.float64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    colors: list[str],
    shown: list[int],
) -> list[str]:
    """Bands from the classes of date t to those of the next one."""
    x0, x1 = _MARGIN + t * _COLUMN + _BAR, _MARGIN + (t + 1) * _COLUMN
    middle = (x0 + x1) / 2
    out_at, in_at = left.copy(), right.copy()
    parts = []
    for i in range(len(shown)):
        for j in range(len(shown)):
            height = heights[i, j]
            if height <= 0:
                continue
            a, b = out_at[i], in_at[j]
            out_at[i], in_at[j] = a + height, b + height
            if height < _LEAST:
                continue
            hectares = account.hectares(moved[i, j])
            said = escape(
                f"{account.names[t]} {account.classes[shown[i]]} → {account.names[t + 1]} "
                f"{account.classes[shown[j]]}: {hectares:,.0f} ha"
            )
            parts.append(
                f'<path class="flow" fill="{colors[shown[i]]}" '
                f'd="M{x0} {a:.2f}C{middle:g} {a:.2f} {middle:g} '
                f"{b:.2f} {x1} {b:.2f}V{b + height:.2f}C{middle:g} {b + height:.2f} {middle:g} "
                f'{a + height:.2f} {x0} {a + height:.2f}Z"><title>{said}</title></path>'
            )
    return parts
