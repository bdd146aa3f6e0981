from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.errors import InputError, UsageError
from geoseg.raster.vectors import read_vector


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y,c,c\n1,2,a,b\n", "two columns are called 'c'"),
        ("lon,lat\n500100,4999900\n", r"hold something else.*lon 500100, lat 4\.9999e\+06.*called x and y"),
        ("lon,lat\n-12,140\n-13,95\n", r"lon -12, lat 140.*the other way round"),
        ("lon,lat\n\n1,2\n\n,3\n", "row 5 holds"),
    ],
)
def test_tables_that_say_something_else(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_vector(tmp_path / "a.csv", points=True, assume_crs="EPSG:32633")


def test_tables_of_points(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("id;Lon;LAT;code;n\n1;10,5;-3,25;010;4\n2;11;-4;020;\n\n", encoding="utf-8-sig")
    read = read_vector(path, points=True)
    assert read.crs.to_epsg() == 4326
    assert [(p.x, p.y) for p in read.geometry] == [(10.5, -3.25), (11, -4)]
    assert list(read["code"]) == ["010", "020"] and read["n"][0] == 4
    with pytest.raises(InputError, match="polygons required"):
        read_vector(path)
    path.write_text("x,y,c\n500000,9000000,a\n")
    with pytest.raises(InputError, match="no coordinate reference system"):
        read_vector(path, points=True)
    assert read_vector(path, points=True, assume_crs="EPSG:32720", columns=["c"])["c"][0] == "a"
    path.write_text("name,value\na,1\n")
    with pytest.raises(InputError, match=r"without coordinates.*name, value.*lon and lat"):
        read_vector(path, points=True)
    path.write_text("lon,lat\n1,2\n,3\n")
    with pytest.raises(InputError, match="row 3 holds"):
        read_vector(path, points=True)
    path.write_bytes("lon,lat,c\n1,2,\u0420\u0456\u0447\u043a\u0430\n".encode("cp1251"))
    with pytest.raises(InputError, match="`encoding=cp1252`"):
        read_vector(path, points=True)
    assert read_vector(path, points=True, encoding="cp1251")["c"][0].startswith("\u0420")
    with pytest.raises(UsageError, match="no encoding 'latin9000'"):
        read_vector(path, points=True, encoding="latin9000")
