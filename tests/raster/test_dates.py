"""Dates of maps: names, folders, tags, and what the user says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import InputError, UsageError
from geoseg.raster.dates import MapDate, date_of
from tests.raster.makers import write

PIXELS = np.ones((4, 4), np.uint8)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("itanhanga_2001", "2001"),
        ("S2A_20210715T101031", "2021-07-15"),
        ("classes-2019-03", "2019-03"),
        ("tile_22LBL_2020_12_31", "2020-12-31"),
        ("LC08_L2SP_227065_20190804_20200827", "2019-08-04 2020-08-27"),
        ("v1234567", ""),
        ("map_2015-18", "2015"),
        ("map_202113990", ""),
    ],
)
def test_dates_in_names(name: str, text: str) -> None:
    assert " ".join(d.text for d in MapDate.found_in(name)) == text


@pytest.mark.parametrize("name", ["map_2019-13-40", "20200230_classes", "2001_02_29", "a.2019.00.01"])
def test_what_looks_like_a_day_and_is_none_is_no_year(name: str, tmp_path: Path) -> None:
    said = rf"{name}.* is no day of the calendar.*`dates=FILE.yaml`"
    with pytest.raises(InputError, match=said):
        MapDate.found_in(name)
    with pytest.raises(InputError, match=said):
        date_of(tmp_path / f"{name}.tif")
    assert date_of(tmp_path / f"{name}.tif", {name: 2019})[0].text == "2019"


def test_a_year_is_its_last_day_and_years_differ_by_whole_numbers() -> None:
    a, b = MapDate.parse(2001), MapDate.parse("2006")
    assert (a.last.isoformat(), a.first.isoformat(), a.number) == ("2001-12-31", "2001-01-01", 20011231)
    assert round(b.years - a.years, 2) == 5.0
    assert MapDate.parse("2020-02-29") > MapDate.parse("2020-01")
    for wrong in ("2021-02-30", "yesterday", "20", "2001-13"):
        with pytest.raises(UsageError):
            MapDate.parse(wrong)


def test_where_a_date_is_found(tmp_path: Path) -> None:
    (tmp_path / "2015").mkdir()
    named = write(tmp_path / "map_2001.tif", PIXELS)
    in_folder = write(tmp_path / "2015" / "classes.tif", PIXELS)
    tagged = write(tmp_path / "a.tif", PIXELS, tags={"TIFFTAG_DATETIME": "2010:07:15 10:00:00"})
    assert (date_of(named)[0].text, date_of(named)[1]) == ("2001", "name")
    assert (date_of(in_folder)[0].text, date_of(in_folder)[1]) == ("2015", "folder")
    assert (date_of(tagged)[0].text, date_of(tagged)[1]) == ("2010-07-15", "TIFFTAG_DATETIME")
    assert date_of(tagged, {"a": "1999-01-01"})[0].text == "1999-01-01"
    with pytest.raises(UsageError, match="leaves this map out"):
        date_of(named, {"a": 1999})
    with pytest.raises(InputError, match="not known"):
        date_of(write(tmp_path / "b.tif", PIXELS))
    with pytest.raises(InputError, match="several dates"):
        date_of(write(tmp_path / "loss_2000_2010.tif", PIXELS))
