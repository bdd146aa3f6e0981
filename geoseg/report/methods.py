"""A methods paragraph filled with the study's own numbers, and what it cites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from geoseg.accuracy.intervals import z_of
from geoseg.report.sources import Kind, Source
from geoseg.version import __version__

_CITED: Mapping[str, str] = {
    "Cochran 1977": "Cochran, W. G. (1977). Sampling Techniques, 3rd ed. Wiley.",
    "FAO 1995": "FAO (1995). Forest resources assessment 1990: global synthesis. FAO Forestry Paper 124.",
    "Olofsson et al. 2014": "Olofsson, P., Foody, G. M., Herold, M., Stehman, S. V., Woodcock, C. E., "
    "Wulder, M. A. "
    "(2014). Good practices for estimating area and assessing accuracy of land change. Remote Sensing of "
    "Environment "
    "148, 42-57.",
    "Pontius & Millones 2011": "Pontius, R. G., Millones, M. (2011). Death to Kappa: birth of quantity "
    "disagreement and "
    "allocation disagreement for accuracy assessment. International Journal of Remote Sensing 32(15), "
    "4407-4429.",
    "Pontius & Santacruz 2014": "Pontius, R. G., Santacruz, A. (2014). Quantity, exchange, and shift "
    "components of "
    "difference in a square contingency table. International Journal of Remote Sensing 35(21), 7543-7554.",
    "Puyravaud 2003": "Puyravaud, J.-P. (2003). Standardizing the calculation of the annual rate of "
    "deforestation. "
    "Forest Ecology and Management 177, 593-596.",
    "Stehman 2014": "Stehman, S. V. (2014). Estimating area and map accuracy for stratified random "
    "sampling when the "
    "strata are different from the map classes. International Journal of Remote Sensing 35(13), 4923-4939.",
    "Wilson 1927": "Wilson, E. B. (1927). Probable inference, the law of succession, and statistical "
    "inference. "
    "Journal of the American Statistical Association 22, 209-212.",
}

_DRAWN = {
    "stratified": "a stratified random sample",
    "simple": "a simple random sample",
    "systematic": "a systematic sample with a random start, taken for a simple random one,",
    "post-stratified": "a simple random sample, post-stratified by known areas (Cochran 1977)",
    "clusters": "a simple random sample of clusters (Cochran 1977)",
    "clusters in strata": "a stratified random sample of clusters (Cochran 1977)",
    "two-stage": "a random sample of units within randomly drawn tiles (Cochran 1977)",
}


def methods(title: str, sources: Sequence[Source]) -> str:
    """Markdown text: a paragraph for every result, with its numbers, and the works that these cite.

    Every number stands in one of the results; it is a draft for the author of a paper, not a replacement.
    """
    paragraphs = [" ".join(_OF_KIND[source.kind](source.content)) for source in sources]
    text = "\n\n".join([f"# {title}: methods and results", *paragraphs])
    cited = [full for short, full in _CITED.items() if short in text]
    listed = "\n".join(f"- {full}" for full in cited)
    made = f"Computed with geoseg {__version__}."
    return "\n\n".join([text, made, *(["## References\n\n" + listed] if cited else [])]) + "\n"


def _estimates(content: Mapping[str, Any]) -> Iterator[str]:
    design, overall, classes = content["design"], content["overall"], content["classes"]
    z, percent = z_of(design["confidence"]), f"{100 * design['confidence']:g} %"
    scored = overall["estimate"] is not None
    of_map = f" of the map {design['map']}" if design.get("map") else ""
    what = f"The accuracy{of_map} and the areas of its classes" if scored else "The areas of the classes"
    lattice = design.get("method") == "systematic" and design["drawing"] == "simple"
    drawn = _DRAWN["systematic" if lattice else design["drawing"]]
    yield (
        f"{what} were estimated from {drawn} of {design['labelled']:,} units "
        f"({design.get('unit') or 'pixel'})."
    )
    if design.get("seed") is not None:
        yield (
            f"It was drawn with seed {design['seed']}, and its units were labelled in random order "
            f"without the map's class."
        )
    if len(content["strata"]) > 1:
        yield f"Strata were {_listed([_stratum(s) for s in content['strata']])}."
    if silent := design["unknown"]:
        yield f"{silent:,} units could not be labelled; they were left out as if missing at random."
        if scored and overall.get("lowest") is not None:
            yield (
                f"Over all that they may be, overall accuracy lies between {_percent(overall['lowest'])} "
                f"and {_percent(overall['highest'])}."
            )
    if design["left"]:
        yield f"{design['left']:,} units that were drawn had not been labelled yet."
    corrected = "with" if design["finite_population_correction"] else "without"
    yield (
        "Estimates are ratios of means over the strata with their design-based variance (Stehman 2014; "
        "equal to "
        f"Olofsson et al. 2014 where strata are the map's classes), {corrected} correction for the finite "
        f"population; "
        f"intervals are {percent} confidence intervals (estimate ± {z:.2f} standard errors)."
    )
    if scored:
        yield f"Overall accuracy was {_percent(overall['estimate'])} ± {_percent(z * overall['se'])}."
    for c in classes:
        if c["area"]:
            yield _class(c, z, scored)
    for ratio in content["ratios"]:
        yield f"The ratio {ratio['ratio']} was {_percent(ratio['estimate'])} ± {_percent(z * ratio['se'])}."
    if parts := content["disagreement"]:
        yield (
            f"Map and reference disagreed on {_percent(parts['total'])} of the area: quantity "
            f"{_percent(parts['quantity'])}, "
            f"allocation {_percent(parts['allocation'])} (Pontius & Millones 2011), of which exchange "
            f"{_percent(parts['exchange'])} and shift {_percent(parts['shift'])} (Pontius & Santacruz 2014)."
        )
    yield from (f"Note: {note}." for note in content["notes"] if "too narrow" in note)


def _class(c: Mapping[str, Any], z: float, scored: bool) -> str:
    if c["area_ha"] is None:
        area = f"{_percent(c['area'])} ± {_percent(z * c['area_se'])} of the area"
    else:
        area = f"{_hectares(c['area_ha'])} ± {_hectares(z * c['area_ha_se'])} ha"
        if c["mapped_ha"] is not None:
            area += f" (on the map {_hectares(c['mapped_ha'])} ha)"
    parts = [f"The area of {c['class']} was {area}"]
    if scored and c["users"] is not None:
        parts.append(f"user's accuracy {_percent(c['users'])} ± {_percent(z * c['users_se'])}")
    if scored and c["producers"] is not None:
        parts.append(f"producer's accuracy {_percent(c['producers'])} ± {_percent(z * c['producers_se'])}")
    return ", ".join(parts) + "."


def _stratum(s: Mapping[str, Any]) -> str:
    size = [
        f"{s['pixels']:,.0f} units" if s["pixels"] else None,
        f"{_hectares(s['hectares'])} ha" if s["hectares"] else None,
    ]
    labelled = f"n = {s['labelled']:,}"
    return f"{s['stratum']} ({', '.join(part for part in (*size, labelled) if part)})"


def _change(content: Mapping[str, Any]) -> Iterator[str]:
    dates, total, classes = content.get("dates") or {}, content["total"], content["classes"]
    when = f" of {dates['before']} and {dates['after']}" if dates.get("before") and dates.get("after") else ""
    yield (
        f"Class maps{when} were compared pixel by pixel; areas are geodesic, and pixels without a class "
        f"at either date are unknown."
    )
    yield (
        f"{_hectares(total['changed_ha'])} ha changed, {_hectares(total['unchanged_ha'])} ha did not, and "
        f"{_hectares(total['unknown_at_one_date_ha'])} ha were unknown at one date."
    )
    for c in classes:
        if not (c["before_ha"] or c["after_ha"]):
            continue
        rates = [
            f"{name} {100 * c[key]:.3f} % a year"
            for key, name in (("fao_rate", "FAO 1995"), ("puyravaud_rate", "Puyravaud 2003"))
            if c.get(key) is not None
        ]
        own = f" ({'; '.join(rates)})" if rates else ""
        yield (
            f"{c['class']} went from {_hectares(c['before_ha'])} to {_hectares(c['after_ha'])} ha{own}, "
            f"with {_hectares(c['gain_ha'])} ha gained and {_hectares(c['loss_ha'])} ha lost."
        )
    parts = content.get("components") or {}
    if parts.get("quantity_ha") is not None:
        yield (
            f"Of the change, {_hectares(parts['quantity_ha'])} ha are of quantity and "
            f"{_hectares(parts['allocation_ha'])} ha of allocation (Pontius & Millones 2011), these being "
            f"exchange "
            f"{_hectares(parts['exchange_ha'])} ha and shift {_hectares(parts['shift_ha'])} ha (Pontius & "
            f"Santacruz 2014)."
        )
    slivers = (content.get("removals") or {}).get("slivers")
    if slivers:
        done = "were taken back" if slivers["removed"] else "are part of it"
        yield (
            f"Changes narrower than 3 pixels, {_hectares(slivers['hectares'])} ha or "
            f"{_percent(slivers['share_of_change'])} of all mapped change, {done}."
        )
    yield (
        "These are areas counted on maps, which are biased by the maps' errors; areas estimated from a "
        "sample are not."
    )


def _series(content: Mapping[str, Any]) -> Iterator[str]:
    dates, loss = [d["name"] for d in content["dates"]], content["loss"]
    yield f"Class maps of {len(dates)} dates, {dates[0]} to {dates[-1]}, were followed pixel by pixel."
    if loss.get("pixels"):
        by = ", ".join(f"{name}: {n:,}" for name, n in loss["pixels_by_definition"].items())
        yield (
            f"First loss of {_listed(loss['of'])} by definition {loss['definition']} was "
            f"{_hectares(loss['hectares'])} ha "
            f"({loss['pixels']:,} pixels; by definition {by})."
        )
    if content.get("filtered_pixels"):
        yield (
            f"A temporal filter altered {content['filtered_pixels']:,} pixel dates "
            f"({_hectares(content['filtered_hectares'])} ha)."
        )


def _scores(content: Mapping[str, Any]) -> Iterator[str]:
    overall = content["overall"]
    of = content["pixels"]["scored"] if "pixels" in content else content["points"]["scored"]
    unit = "pixels" if "pixels" in content else "points"
    yield (
        f"Against a reference ({content['reference_kind']}), {of:,} {unit} were scored, unweighted: "
        f"overall accuracy "
        f"{_percent(overall['overall_accuracy'])}, mean IoU {_percent(overall['mean_iou'])}."
    )


_OF_KIND: Mapping[Kind, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "estimates": _estimates,
    "change": _change,
    "series": _series,
    "scores": _scores,
}


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


def _hectares(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
