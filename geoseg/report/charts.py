"""Charts of a study's numbers: areas with their intervals, and what became of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_GREY, _INK, _ADJUSTED = "#BBBBBB", "#1F4E79", "#D55E00"
_GAP = 0.02
_WIDTH = 0.12
_STEPS = 60
_LINE = 0.03  # of the height: labels of narrow classes next to each other
_OTHER = "#999999"


Ends = tuple[float | None, float | None]
"""Ends of an interval; None where the sample does not tell them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Area of a class in hectares: on the map (None: not known), by the sample, and its two intervals."""

    name: str
    mapped: float | None
    area: float
    interval: Ends
    adjusted: Ends


@dataclass(frozen=True, slots=True, kw_only=True)
class DateArea:
    """Hectares of a class at a date on the map, and by a sample with its interval where there was one."""

    date: str
    mapped: float
    area: float | None = None
    interval: Ends = (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Hectares of one class that are another afterwards."""

    before: str
    after: str
    hectares: float


def draw_areas(bars: Sequence[Bar], out: Path, *, confidence: float) -> Path:
    """PNG of areas by the sample with their intervals, beside those counted on the map; one panel a class.

    Every class has its own scale, so that rare classes, which are the question, can be read.
    """
    figure = _figure(7.5, 0.4 + 0.78 * len(bars))
    panels = figure.subplots(len(bars), 1, squeeze=False)[:, 0]
    listed: dict[str, Any] = {}
    for bar, axes in zip(bars, panels, strict=True):
        axes.barh([1], [bar.area], color=_INK, height=0.55, alpha=0.85, label="by the sample")
        if bar.mapped is not None:
            axes.barh([0], [bar.mapped], color=_GREY, height=0.55, label="counted on the map")
        _whisker(axes, bar.interval, 1.0, "black", f"{100 * confidence:g} % interval")
        _whisker(axes, bar.adjusted, 1.42, _ADJUSTED, "adjusted interval")
        widest = max(v or 0.0 for v in (bar.area, bar.mapped, bar.interval[1], bar.adjusted[1]))
        axes.set_xlim(0, 1.08 * widest or 1.0)
        axes.set_ylim(-0.5, 1.7)
        axes.set_yticks([0.5], [bar.name])
        axes.tick_params(length=0, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
        listed |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    panels[-1].set_xlabel("hectares", fontsize=9)
    figure.legend(
        list(listed.values()), list(listed), loc="outside upper center", ncols=4, frameon=False, fontsize=8
    )
    return _save(figure, out, "png")


def draw_dates(areas: Mapping[str, Sequence[DateArea]], out: Path, *, colors: Mapping[str, str]) -> Path:
    """PNG of hectares by date, a line a class, dates in order; samples as diamonds with intervals."""
    figure = _figure(7.5, 4.2)
    axes = figure.add_subplot()
    dates = list(dict.fromkeys(one.date for line in areas.values() for one in line))
    for name, line in areas.items():
        places, color = [dates.index(one.date) for one in line], colors.get(name, _OTHER)
        axes.plot(places, [one.mapped for one in line], marker="o", markersize=3, color=color, label=name)
        for place, one in zip(places, line, strict=True):
            low, high = one.interval
            if one.area is not None and low is not None and high is not None:
                axes.plot([place, place], [low, high], color=color, linewidth=1.4)
                axes.plot([place], [one.area], marker="D", markersize=6, color=color, markeredgecolor="black")
    axes.set_xticks(range(len(dates)), dates, rotation=45 if len(dates) > 8 else 0, fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("hectares by the maps", fontsize=9)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return _save(figure, out, "png")


def draw_flows(
    flows: Sequence[Flow], out: Path, *, colors: Mapping[str, str], dates: tuple[str, str]
) -> Path:
    """SVG of what became of each class (a Sankey diagram): widths are hectares, colours those of before."""
    names = list(dict.fromkeys([*colors, *(n for f in flows for n in (f.before, f.after))]))
    names = [n for n in names if any(n in (f.before, f.after) for f in flows)]
    whole_area = sum(f.hectares for f in flows)
    scale = (1 - _GAP * (len(names) - 1)) / whole_area
    figure = _figure(8, 0.8 + 0.75 * len(names) + 2)
    axes = figure.add_subplot()
    axes.set_xlim(-0.75, 1.75)
    axes.set_ylim(1.0, -0.05)
    axes.axis("off")
    tops = {side: _tops(flows, names, side, scale) for side in ("before", "after")}
    heights = {side: _heights(flows, names, side, scale) for side in ("before", "after")}
    at = {side: dict(tops[side]) for side in tops}
    for flow in sorted(flows, key=lambda f: (names.index(f.before), names.index(f.after))):
        height = flow.hectares * scale
        left, right = at["before"][flow.before], at["after"][flow.after]
        _ribbon(axes, left, right, height, colors.get(flow.before, _OTHER), faint=flow.before == flow.after)
        at["before"][flow.before] += height
        at["after"][flow.after] += height
    for side, x, align in (("before", 0.0, "right"), ("after", 1.0, "left")):
        axes.text(x, -0.03, dates[side == "after"], ha="center", va="bottom", fontsize=10, fontweight="bold")
        lowest = -1.0
        for name in names:
            height = heights[side][name]
            if height == 0:
                continue
            edge, top = x - _WIDTH / 2, tops[side][name]
            axes.bar(edge, height, _WIDTH, bottom=top, align="edge", color=colors.get(name, _OTHER))
            lowest = max(top + height / 2, lowest + _LINE)
            shift = -0.03 if side == "before" else _WIDTH + 0.03
            label = f"{name}  {height / scale:,.0f} ha"
            axes.text(edge + shift, lowest, label, ha=align, va="center", fontsize=8)
    return _save(figure, out, "svg")


def _heights(flows: Sequence[Flow], names: Sequence[str], side: str, scale: float) -> dict[str, float]:
    return {n: scale * sum(f.hectares for f in flows if getattr(f, side) == n) for n in names}


def _tops(flows: Sequence[Flow], names: Sequence[str], side: str, scale: float) -> dict[str, float]:
    top, found = 0.0, {}
    for name, height in _heights(flows, names, side, scale).items():
        found[name] = top
        top += height + _GAP
    return found


def _ribbon(axes: Axes, left: float, right: float, height: float, color: str, *, faint: bool) -> None:
    import numpy as np

    t = np.linspace(0, 1, _STEPS)
    ease = t * t * (3 - 2 * t)
    y = left + (right - left) * ease
    x = _WIDTH / 2 + (1 - _WIDTH) * t
    axes.fill_between(x, y, y + height, color=color, alpha=0.25 if faint else 0.6, linewidth=0)


def _whisker(axes: Axes, ends: Ends, y: float, color: str, label: str) -> None:
    low, high = ends
    if low is None or high is None:
        return
    axes.plot([low, high], [y, y], color=color, linewidth=1.4, label=label, solid_capstyle="butt")
    for x in (low, high):
        axes.plot([x, x], [y - 0.14, y + 0.14], color=color, linewidth=1.4)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, out: Path, kind: str) -> Path:
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "geoseg", "svg.fonttype": "none"}), whole(out) as partial:
        figure.savefig(
            partial, format=kind, bbox_inches="tight", metadata={"Date": None} if kind == "svg" else None
        )
    return out
