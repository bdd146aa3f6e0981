"""Small samples for tests."""

from __future__ import annotations

from typing import Any

import shapely
from pyproj import CRS

from geoseg.legend import Legend
from geoseg.sampling.layout import DesignInfo, Drawn, Label, MapClass, Sample, Stratum, Unit

LEGEND = Legend.of({1: "forest", 2: "other", 3: "loss"})


def sample(count: int = 6, *, labels: tuple[Label, ...] = (), unit: str = "pixel", **answers: Any) -> Sample:
    """Sample of `count` units in two strata; `answers` by id, as a1 to aN."""
    units, design = [], []
    for i in range(1, count + 1):
        stratum = 1 + i % 2
        box = shapely.box(500_000 + 10 * i, 0, 500_010 + 10 * i, 10)
        said = {"answer": answers[f"a{i}"]} if f"a{i}" in answers else {}
        units.append(Unit(id=f"a{i}", order=i, lon=15 + i / 9, lat=0.1, geometry=shapely.to_wkb(box), **said))
        n = sum(1 + j % 2 == stratum for j in range(1, count + 1))
        design.append(
            Drawn(
                id=f"a{i}",
                stratum=stratum,
                rank=i,
                map_class=stratum,
                p_inclusion=n / 100,
                weight=100 / n,
                area_m2=100.0,
            )
        )
    strata = tuple(
        Stratum(
            stratum=h,
            name=LEGEND.name(h),
            pixels=100,
            hectares=1.0,
            n=sum(d.stratum == h for d in design),
            allocation="equal",
            expected_share=0.8,
        )
        for h in (1, 2)
    )
    info = DesignInfo(
        seed=7,
        method="stratified",
        unit=unit,
        map="map.tif",
        map_digest="0" * 64,
        grid={"crs": "EPSG:32633", "transform": [10, 0, 500_000, 0, -10, 10], "height": 1, "width": 100},
        legend=LEGEND,
        classes=tuple(MapClass(id=i, pixels=100, hectares=1.0) for i in (1, 2)),
        version="1",
        date="2024-01-01T00:00:00+00:00",
        command="geoseg sample design map.tif",
        notes=("=a note",),
        further={"expect": {"1": [0.5, 0.5]}},
    )
    return Sample(
        units=tuple(units),
        labels=labels,
        design=tuple(design),
        strata=strata,
        info=info,
        crs_wkt=CRS.from_epsg(32633).to_wkt("WKT1_GDAL"),
    )
