"""QGIS itself opens a sample: form, value map and style load, the map class is not there, edits come back."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from geoseg.sampling.file import read_sample, write_sample
from tests.sampling.makers import sample

PYTHON = Path("/usr/bin/python3")
"""Where Debian's python3-qgis lives, beside whatever interpreter runs the tests."""

SCRIPT = """
import json, sys
from qgis.core import QgsApplication, QgsVectorLayer
application = QgsApplication([], False)
application.initQgis()
layer = QgsVectorLayer(sys.argv[1] + "|layername=sample", "sample", "ogr")
layer.loadDefaultStyle()
names = [f.name() for f in layer.fields()]
widgets = {n: layer.editorWidgetSetup(i) for i, n in enumerate(names)}
form = layer.editFormConfig()
layer.startEditing()
for feature in layer.getFeatures():
    if feature["order"] == 2:
        layer.changeAttributeValue(feature.id(), names.index("label"), 3)
found = {
    "crs": layer.crs().authid(),
    "names": names,
    "types": {n: w.type() for n, w in widgets.items()},
    "label": widgets["label"].config()["map"],
    "read only": [n for i, n in enumerate(names) if form.readOnly(i)],
    "shown": [e.name() for e in form.tabs()],
    "categories": [[c.value(), c.label()] for c in layer.renderer().categories()],
    "saved": layer.commitChanges(),
}
print("FOUND " + json.dumps(found))
"""


@pytest.mark.slow
def test_qgis_opens_a_sample(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)}
    probe = [str(PYTHON), "-c", "import qgis.core"]
    there = os.name == "posix" and PYTHON.exists()
    if not there or subprocess.run(probe, env=env, capture_output=True, check=False).returncode:
        pytest.skip("no python3-qgis")
    path = write_sample(tmp_path / "s.gpkg", sample())
    run = subprocess.run(
        [str(PYTHON), "-c", SCRIPT, str(path)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    line = next((x for x in run.stdout.splitlines() if x.startswith("FOUND ")), None)
    assert line is not None, run.stderr[-2000:]
    found = json.loads(line.removeprefix("FOUND "))
    assert found["crs"] == "EPSG:32633"
    assert not {"map_class", "stratum", "weight"} & set(found["names"])
    choices = [next(iter(entry.items())) for entry in found["label"]]
    assert choices[1:] == [("forest", "1"), ("other", "2"), ("loss", "3")]
    assert found["types"]["label"] == found["types"]["unknown"] == "ValueMap"
    assert found["types"]["fid"] == found["types"]["psu"] == found["types"]["share"] == "Hidden"
    assert {"id", "order", "lon", "lat"} <= set(found["read only"])
    assert "label" not in found["read only"]
    assert found["shown"][4] == "label"
    assert [c[1] for c in found["categories"]] == ["to be labelled", "unknown", "forest", "other", "loss"]
    assert found["saved"]
    assert [u.answer.label for u in read_sample(path).units][:3] == [None, 3, None]
