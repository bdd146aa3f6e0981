"""Networks of objects: what every one promises, and what each makes of answers that are known."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter, minimum_filter

from geoseg.errors import ResourceError, UsageError
from geoseg.models.architectures import Architecture, build, resolve
from geoseg.models.interior_rim import _detections, interior_and_rim
from geoseg.models.mask_rcnn import _paste, _target
from geoseg.models.object_labels import UNKNOWN, ObjectLabels
from tests.models.object_networks import NAMES, SMALL, THINGS, network


def boxes(*places: tuple[int, int, int, int], side: int = 64) -> torch.Tensor:
    ids = torch.zeros(side, side, dtype=torch.int64)
    for number, (row, col, row_end, col_end) in enumerate(places, start=1):
        ids[row:row_end, col:col_end] = number
    return ids


def labelled(ids: torch.Tensor, name: str = "", classes: tuple[int, ...] = ()) -> ObjectLabels:
    """Objects with classes by rank among the things, and what lies between them where `name` knows stuff."""
    if name not in THINGS:
        return ObjectLabels(ids=ids, classes=torch.tensor(classes, dtype=torch.int64))
    positions = torch.tensor([THINGS[name][k] for k in classes], dtype=torch.int64)
    return ObjectLabels(ids=ids, classes=positions, stuff=torch.where(ids == 0, 3, UNKNOWN))


def two_objects(name: str = "") -> ObjectLabels:
    ids = boxes((4, 4, 30, 30), (34, 20, 60, 50))
    ids[:, 60:] = -1
    return labelled(ids, name, (1, 0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bands", [1, 4])
def test_objects_of_every_tile_for_any_number_of_bands(name: str, bands: int) -> None:
    with torch.inference_mode():
        found = network(name, bands).eval()(torch.randn(2, bands, 64, 96))
    assert len(found) == 2
    for one in found:
        count = len(one["scores"])
        assert len(one["classes"]) == len(one["masks"]) == count and one["boxes"].shape == (count, 4)
        assert not one["boxes"].is_floating_point()
        assert all(0 <= s <= 1 for s in one["scores"])
        assert set(one["classes"].tolist()) <= set(THINGS.get(name, (0, 1)))
        assert ("stuff" in one) == (name in THINGS)
        if "stuff" in one:
            assert one["stuff"].shape == (64, 96) and set(one["stuff"].unique().tolist()) <= {1, 3}
        for (row, col, row_end, col_end), mask in zip(one["boxes"].tolist(), one["masks"], strict=True):
            assert mask.shape == (row_end - row, col_end - col) and 0 <= mask.min() <= mask.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_losses_reach_every_parameter(name: str) -> None:
    """Of a tile with objects, and of one without any."""
    made = network(name).train()
    empty = labelled(boxes(), name)
    losses = made(torch.randn(2, 3, 64, 64), [two_objects(name), empty])
    torch.stack(list(losses.values())).sum().backward()
    assert [k for k, v in made.named_parameters() if v.grad is None] == []
    unknown = labelled(boxes() - 1, name)
    for nothing in (empty, unknown):
        alone = made(torch.randn(2, 3, 64, 64), [nothing, nothing])
        assert all(torch.isfinite(v) for v in alone.values())


@pytest.mark.parametrize(("name", "loss"), [("interior_rim", "cross_entropy"), ("panoptic_fpn", "semantic")])
def test_pixels_that_are_not_known_teach_nothing(name: str, loss: str) -> None:
    unknown = labelled(boxes() - 1, name)
    losses = network(name).train()(torch.randn(2, 3, 64, 64), [unknown, unknown])
    assert float(losses[loss].detach()) == 0.0


def test_the_branch_of_stuff_is_taught_what_lies_between_and_where_things_are() -> None:
    made, ids = network("panoptic_fpn"), boxes((4, 4, 30, 30))
    ids[:, 60:] = -1
    known = labelled(ids, "panoptic_fpn", (1,))
    right = torch.zeros(1, 3, 64, 64)
    right[0, 1], right[0, 2] = 20.0 * (ids == 0), 20.0 * (ids == 1)
    right[0, 0, :, 60:] = 20.0  # wrong, if it were known
    assert float(made._loss(right, [known])) < 1e-6 < 1 < float(made._loss(-right, [known]))


@pytest.mark.parametrize("things", [[], [0, 1], [1, 2]])
def test_things_are_some_of_the_classes(things: list[int]) -> None:
    wrong = Architecture(name="panoptic_fpn", encoder="resnet18", arguments={"things": things})
    with pytest.raises(UsageError, match="things are some of the positions 0 to 1, not all"):
        build(wrong, bands=3, classes=2)


@pytest.mark.parametrize("name", NAMES)
def test_a_tile_does_not_see_its_neighbours_in_the_batch(name: str) -> None:
    made = network(name).eval()
    first, second, other = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        pairs = [made(torch.stack(pair))[0] for pair in ((first, second), (first, other * 100))]
    for key in sorted(pairs[0].keys() - {"masks"}):
        assert torch.equal(pairs[0][key], pairs[1][key])
    assert all(torch.equal(*masks) for masks in zip(pairs[0]["masks"], pairs[1]["masks"], strict=True))


def _known(name: str) -> dict[str, Any]:
    """What a network with weights that numpy drew makes of a picture that it drew."""
    made, rng = network(name).eval(), np.random.default_rng(_SEEDS.get(name, 8))
    around_one = name == "mask2former"  # weights of norms, without which all its queries say the same
    with torch.no_grad():
        for key, value in made.named_parameters():
            scale = 1.4 / np.sqrt(value[0].numel()) if value.ndim > 1 else 0.1
            drawn = rng.standard_normal(tuple(value.shape)) * scale
            drawn += around_one and value.ndim == 1 and key.endswith("weight")
            value.copy_(torch.from_numpy(drawn.astype(np.float32)))
        picture = torch.from_numpy(rng.standard_normal((1, 3, 64, 64)).astype(np.float32))
        found: list[dict[str, Any]] = made(picture)
    return found[0]


@pytest.mark.parametrize("name", NAMES)
def test_fixed_weights_and_input_give_the_answer_they_gave(name: str) -> None:
    """A release of torchvision or smp that computes something else is found here."""
    found = _known(name)
    values = found["scores"].sort(descending=True).values[:5].tolist()
    if "stuff" in found:
        values.append(float((found["stuff"] == 1).float().mean()))
    assert (len(found["scores"]), values) == (_GOLDEN[name][0], pytest.approx(_GOLDEN[name][1], abs=2e-3))


_GOLDEN = {
    "interior_rim": (1, [0.7789]),
    "mask_rcnn": (20, [0.6478, 0.6411, 0.641, 0.6409, 0.6407]),
    "mask2former": (10, [0.2232, 0.194, 0.1931, 0.1828, 0.1794, 0.9956]),
    "one_decoder": (10, [0.2327, 0.2254, 0.2254, 0.2186, 0.2128, 0.0161]),
    "panoptic_fpn": (20, [0.6484, 0.6408, 0.6408, 0.6408, 0.6408, 0.8389]),
}
"""Objects found, the scores of the best five, and the share of one class of stuff."""

_SEEDS = {"interior_rim": 5}
"""Of weights that find an object."""


places = st.lists(
    st.tuples(st.integers(0, 56), st.integers(0, 56), st.integers(1, 24), st.integers(1, 24)), max_size=8
).map(lambda found: [(r, c, r + h, c + w) for r, c, h, w in found])


@settings(max_examples=40)
@given(places=places, rim=st.integers(1, 4))
def test_every_object_keeps_a_core(places: list[tuple[int, int, int, int]], rim: int) -> None:
    ids = boxes(*places)
    objects = ObjectLabels(ids=ids, classes=torch.zeros(len(places), dtype=torch.int64))
    truth = interior_and_rim(objects, 1, rim)
    assert set(ids[truth == 1].unique().tolist()) == set(ids.unique().tolist()) - {0}
    assert not ((truth == 0) & (ids > 0)).any()
    inner = minimum_filter(ids.numpy(), 2 * rim + 1) == maximum_filter(ids.numpy(), 2 * rim + 1)
    assert (truth.numpy()[inner & (ids.numpy() > 0)] == 1).all()


def test_objects_come_back_from_the_classes_they_are_taught_by() -> None:
    """Apart, side by side, one pixel apart, narrow, at the edge, of two classes."""
    ids = boxes((2, 2, 20, 20), (2, 20, 20, 40), (22, 2, 40, 18), (41, 2, 60, 18), (50, 30, 54, 64))
    objects = ObjectLabels(ids=ids, classes=torch.tensor([0, 1, 0, 1, 1]))
    truth = interior_and_rim(objects, 2, 2)
    share = np.full((4, 64, 64), 0.02, np.float32)
    np.put_along_axis(share, truth.numpy()[None], 0.94, axis=0)
    found = _detections(share, 2, 2)
    assert found["classes"].tolist() == [0, 1, 0, 1, 1]
    assert found["scores"].min() > 0.6  # the narrow one; smoothing takes from its sides
    for number, (place, mask) in enumerate(
        zip(found["boxes"].tolist(), found["masks"], strict=True), start=1
    ):
        row, col, row_end, col_end = place
        whole = np.zeros((64, 64), bool)
        whole[row:row_end, col:col_end] = mask.numpy() > 0.5
        own = (ids == number).numpy()
        assert (whole & own).sum() / (whole | own).sum() > 0.9
    assert _detections(np.stack([np.ones((8, 8)), *np.zeros((2, 8, 8))]).astype(np.float32), 1, 2)[
        "boxes"
    ].shape == (0, 4)


def test_a_thin_rib_does_not_part_a_roof() -> None:
    share = np.zeros((3, 40, 40), np.float32)
    share[0] = 1
    share[:, 8:32, 8:32] = np.array([0.05, 0.85, 0.1], np.float32)[:, None, None]
    share[:, 8:32, 20] = np.array([0.3, 0.1, 0.6], np.float32)[:, None]
    assert len(_detections(share, 1, 2)["scores"]) == 1
    share[:, 8:32, 18:22] = np.array([0.1, 0.0, 0.9], np.float32)[:, None, None]  # as wide as two rims
    assert len(_detections(share, 1, 2)["scores"]) == 2


def test_a_crops_objects_are_boxes_and_masks() -> None:
    found = _target(two_objects())
    assert found["boxes"].tolist() == [[4, 4, 30, 30], [20, 34, 50, 60]]
    assert found["labels"].tolist() == [2, 1]  # behind the background
    assert found["masks"].flatten(1).sum(1).tolist() == [26 * 26, 26 * 30]
    assert _target(ObjectLabels(ids=boxes(), classes=torch.zeros(0, dtype=torch.int64)))["boxes"].shape == (
        0,
        4,
    )


def test_a_mask_lies_where_its_box_is() -> None:
    """A mask whose left half is 1 covers the pixels whose centre is in the left half of the box."""
    mask = torch.zeros(28, 28)
    mask[:, :14] = 1
    box = torch.tensor([10.0, 4.0, 30.0, 12.0])
    found = _paste(mask, box, (4, 10, 12, 30))
    assert found.shape == (8, 20)
    assert (found[1:-1, 1:9] > 0.99).all() and (found[:, 11:] == 0).all()


def test_every_query_is_an_object_and_all_together_say_what_lies_between() -> None:
    made = network("mask2former")
    masks = torch.full((1, 3, 16, 16), -20.0)
    masks[0, 0, 2:6, 4:10] = masks[0, 1, 8:12, 2:4] = 20.0
    masks[0, 2] = 20.0
    shares = torch.tensor([[0.1, 0, 0.8, 0, 0.1], [0, 0.3, 0.4, 0.1, 0.2], [0, 0.2, 0.1, 0.7, 0]])
    found = made._found(shares, masks, (64, 64))
    assert found["classes"].tolist() == [2, 2, 2]
    assert found["scores"].tolist() == pytest.approx([0.8, 0.4, 0.1], abs=0.05)
    assert found["boxes"].tolist() == [[8, 16, 24, 40], [32, 8, 48, 16], [0, 0, 64, 64]]
    assert all((m > 0.5).float().mean() > 0.9 for m in found["masks"])
    assert (found["stuff"] == 3).all()
    nothing = made._found(shares, torch.full((1, 3, 16, 16), -20.0), (64, 64))
    assert nothing["boxes"].shape == (0, 4) and len(nothing["scores"]) == len(nothing["classes"]) == 0


def test_masks_learn_nothing_where_nothing_is_known() -> None:
    made, known = network("mask2former").train(), two_objects("mask2former")
    torch.manual_seed(0)
    answer = torch.randn(1, 10, 5, requires_grad=True), torch.randn(1, 10, 16, 16, requires_grad=True)
    made.decoder.forward = lambda _levels: [answer]
    losses = made._losses([], [known])
    torch.stack(list(losses.values())).sum().backward()
    taught = answer[1].grad[0].abs().sum(dim=0)
    assert (taught[:, 15] == 0).all() and (taught[:, :14] > 0).float().mean() > 0.9


@pytest.mark.slow
def test_mask2former_learns_the_objects_of_a_tile_by_heart() -> None:
    made, places = network("mask2former").train(), ((4, 4, 30, 30), (34, 20, 60, 50), (6, 40, 20, 58))
    objects = labelled(boxes(*places), "mask2former", (1, 0, 1))
    x = torch.randn(1, 3, 64, 64) * 0.1
    x[0, 0] += objects.ids > 0
    x[0, 1] += objects.ids == 2
    optimiser = torch.optim.AdamW(made.parameters(), 1e-3)
    for _ in range(150):
        losses = made(x.repeat(2, 1, 1, 1), [objects, objects])
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimiser.step()
    with torch.inference_mode():
        (found,) = made.eval()(x)
    best = found["scores"].argsort(descending=True)
    assert found["scores"][best[2]] > 0.8 > 0.2 > found["scores"][best[3]]
    assert {tuple(found["boxes"][k].tolist()) for k in best[:3]} == set(places)
    assert sorted(found["classes"][best[:3]].tolist()) == [0, 2, 2]


def test_mask2former_of_things_alone_knows_no_stuff() -> None:
    pytest.importorskip("transformers")
    arguments = {k: v for k, v in SMALL["mask2former"].arguments.items() if k != "things"}
    made = build(replace(SMALL["mask2former"], arguments=arguments), bands=2, classes=2).eval()
    with torch.inference_mode():
        (found,) = made(torch.randn(1, 2, 64, 64))
    assert "stuff" not in found and set(found["classes"].tolist()) <= {0, 1}


def test_without_the_extra_the_error_says_what_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in ("mask2former", "mask2former_decoder"):
        monkeypatch.delitem(sys.modules, f"geoseg.models.{name}", raising=False)
    with pytest.raises(ResourceError, match=r"needs the library transformers.*geoseg\[objects\]"):
        resolve("mask2former")
    assert build(SMALL["mask_rcnn"], bands=3, classes=2) is not None


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="anchors are 5 sides"):
        build(
            Architecture(name="mask_rcnn", encoder="resnet18", arguments={"anchors": [8]}), bands=3, classes=1
        )
    with pytest.raises(UsageError, match="rim is 1 to 64"):
        build(Architecture(name="interior_rim", encoder="resnet18", arguments={"rim": 0}), bands=3, classes=1)


@pytest.mark.parametrize("name", ["interior_rim", "mask_rcnn"])
def test_frozen_norms_stay_as_they_are_loaded(name: str) -> None:
    given_arguments = {**SMALL[name].arguments, "freeze_norms": True}
    made = build(Architecture(name=name, encoder="resnet18", arguments=given_arguments), bands=3, classes=2)
    made.train()
    before = made.encoder.bn1.running_mean.clone()
    made(torch.randn(2, 3, 64, 64), [two_objects(), two_objects()])
    assert torch.equal(made.encoder.bn1.running_mean, before)
    assert (made.decoder if name == "interior_rim" else made.heads).training
