"""What int8 costs a model: kept beside its files, believed for that very model alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from geoseg.errors import InputError
from geoseg.models.bundle import load_bundle
from geoseg.models.int8_loss import FILE, Int8Loss, measuring_int8_loss, read_int8_loss, write_int8_loss

from . import bundles


def loss(bundle, exact=0.92, quantised=0.918):
    return Int8Loss(
        bundle=bundle.digest,
        exact=exact,
        quantised=quantised,
        scenes=2,
        pixels=5_240_000,
        date="2026-11-29",
    )


def test_it_is_read_as_written_and_leaves_the_model_as_it_is(tmp_path):
    bundle = bundles.bundle(tmp_path)
    assert read_int8_loss(bundle) is None
    write_int8_loss(bundle, loss(bundle))
    assert read_int8_loss(bundle) == loss(bundle)
    assert load_bundle(bundle.path).digest == bundle.digest


@pytest.mark.parametrize("stop", [KeyboardInterrupt, InputError, SystemExit])
def test_a_measurement_that_ends_early_leaves_the_one_before(tmp_path, stop):
    bundle = bundles.bundle(tmp_path)
    write_int8_loss(bundle, loss(bundle))
    with pytest.raises(stop), measuring_int8_loss(bundle):
        assert read_int8_loss(bundle) is None
        raise stop("now")
    assert read_int8_loss(bundle) == loss(bundle)
    with measuring_int8_loss(bundle):
        write_int8_loss(bundle, loss(bundle, exact=0.5))
    assert read_int8_loss(bundle) == loss(bundle, exact=0.5)


def test_that_of_another_model_counts_for_nothing(tmp_path):
    bundle = bundles.bundle(tmp_path)
    write_int8_loss(bundle, replace(loss(bundle), bundle="0" * 64))
    assert read_int8_loss(bundle) is None


def test_three_tenths_of_a_point_are_accepted(tmp_path):
    bundle = bundles.bundle(tmp_path)
    assert str(loss(bundle)) == "mean IoU 92.00% in fp32, 91.80% in int8, on 2 scenes (5.2 Mpx, 2026-11-29)"
    assert loss(bundle).points == pytest.approx(0.2)
    assert loss(bundle).accepted
    assert loss(bundle, quantised=0.93).accepted
    assert not loss(bundle, quantised=0.9169).accepted
    assert not loss(bundle, quantised=math.nan).accepted


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"bundle": 1}'])
def test_a_damaged_file_is_named(tmp_path, text):
    bundle = bundles.bundle(tmp_path)
    (bundle.path / FILE).write_text(text)
    with pytest.raises(InputError, match="does not say what int8 costs the model"):
        read_int8_loss(bundle)
    fields = json.loads(json.dumps({"bundle": bundle.digest, "exact": "much"}))
    (bundle.path / FILE).write_text(json.dumps(fields))
    with pytest.raises(InputError):
        read_int8_loss(bundle)
