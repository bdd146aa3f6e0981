"""One decoder for several tasks: no answer depends on what else is asked, and every kind of label teaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from geoseg.errors import UsageError
from geoseg.models.architectures import Architecture, build
from geoseg.models.object_labels import UNKNOWN, ObjectLabels
from geoseg.models.prompt import Prompt
from geoseg.models.query_losses import Taught, class_losses
from tests.models.object_networks import SMALL, network

NAME = "one_decoder"


def prompt(*points: tuple[int, int], beside: tuple[tuple[int, int], ...] = (), box: Any = None) -> Prompt:
    inside = [True] * len(points) + [False] * len(beside)
    return Prompt(
        points=np.array([*points, *beside], np.int64).reshape(-1, 2),
        inside=np.array(inside, np.bool_),
        box=box,
    )


PROMPTS = (
    prompt((20, 30)),
    prompt((20, 30), (24, 33), beside=((50, 60),)),
    prompt(box=(4, 6, 40, 50)),
    prompt((10, 10), box=(-3, 2, 30, 90)),
    prompt(beside=((0, 63),)),
)


def made(**arguments: Any) -> Any:
    torch.manual_seed(0)
    own = {**SMALL[NAME].arguments, **arguments}
    return build(Architecture(name=NAME, encoder=SMALL[NAME].encoder, arguments=own), bands=3, classes=4)


def labels(*, known: bool = True, stuff: bool = True) -> ObjectLabels:
    """Two bright objects on a dark and a middle ground, as far as that is known."""
    ids = torch.zeros(64, 64, dtype=torch.int64)
    ids[8:28, 10:30], ids[36:58, 34:56] = 1, 2
    ground = torch.where(torch.arange(64) < 32, 1, 3)[None].expand(64, 64)
    classes = torch.where(ids == 1, 0, torch.where(ids == 2, 2, ground))
    if not known:
        return ObjectLabels(ids=ids * 0 - 1, classes=torch.zeros(0, dtype=torch.int64), stuff=classes)
    seen = ground.masked_fill(ids > 0, UNKNOWN) if stuff else torch.full_like(ids, UNKNOWN)
    return ObjectLabels(ids=ids, classes=torch.tensor([0, 2]), stuff=seen)


def picture() -> torch.Tensor:
    known, x = labels(), torch.zeros(3, 64, 64)
    x[0], x[1], x[2] = known.ids == 1, known.ids == 2, (known.stuff == 3).float()
    return x[None] * 2 - 0.5


def test_the_task_says_what_is_answered_and_nothing_else_about_it() -> None:
    tiles, own = torch.randn(2, 3, 64, 64), network(NAME).eval()
    with torch.inference_mode():
        answers = {}
        for task in ("semantic", "instance", "panoptic"):
            own.task = task
            answers[task] = own(tiles)
    logits = answers["semantic"]
    assert logits.shape == (2, 4, 64, 64) and logits.isfinite().all()
    for n, (alone, both) in enumerate(zip(answers["instance"], answers["panoptic"], strict=True)):
        assert "stuff" not in alone and len(alone["scores"]) > 0
        for key in ("scores", "classes", "boxes"):
            assert torch.equal(alone[key], both[key])
        assert torch.equal(both["stuff"], torch.tensor([1, 3])[logits[n, [1, 3]].argmax(dim=0)])


def test_prompts_are_answered_alone_as_together() -> None:
    own = network(NAME).eval()
    with torch.inference_mode():
        encoded = own.embed(torch.randn(1, 3, 64, 64))
        together, score = own.answer(encoded, PROMPTS)
        alone = torch.cat([own.answer(encoded, [one])[0] for one in PROMPTS])
    assert score is None and together.shape == (5, 64, 64)
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.min() >= 0 and together.max() <= 1
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[4:40, 6:50] = True
    assert (together[2][~inside] == 0).all() and (together[2][inside] > 0).all()
    pairs = [(i, j) for i in range(5) for j in range(i)]
    assert not any(torch.equal(together[i], together[j]) for i, j in pairs)


def test_nothing_depends_on_where_in_a_tile_it_lies() -> None:
    """All is the same, so that a point in another place is answered there with the same."""
    own = network(NAME).eval()
    with torch.inference_mode():
        encoded = own.embed(torch.zeros(1, 3, 256, 256))
        first, second = own.answer(encoded, [prompt((96, 96)), prompt((128, 160))])[0]
    assert torch.allclose(first[64:160, 64:160], second[96:192, 128:224], atol=0.05)
    assert not torch.allclose(first, second, atol=0.05)


def test_labels_teach_what_they_say_and_nothing_else() -> None:
    own, x = network(NAME).train(), picture().repeat(2, 1, 1, 1)
    of_objects = {"objects", "object masks", "object dice", "places", "prompts", "prompt dice"}
    of_classes = {"classes", "class dice"}
    for taught, zero in (
        (labels(stuff=False), of_classes),
        (labels(known=False), of_objects),
        (labels(), set()),
    ):
        losses = own(x, [taught, taught])
        assert set(losses) <= of_objects | of_classes
        assert {
            name for name in of_objects | of_classes if name not in losses or losses[name].detach() == 0
        } == zero


def test_prompts_of_a_crop_point_at_its_objects() -> None:
    taught = Taught.of(labels(), [0, 2], 4)
    assert taught.kinds.tolist() == [0, 1] and taught.masks.shape == (2, 16, 16)
    assert float(taught.depths[4, 5]) == 1.0 and float(taught.depths[0, 0]) == 0.0
    kinds = set()
    for seed in range(30):
        torch.manual_seed(seed)
        for number, one in taught.prompts():
            mask = taught.objects[number]
            found = [bool(mask[row, col]) for row, col in one.points.tolist()]
            assert found == one.inside.tolist()
            kinds.add((int(one.inside.sum()), int((~one.inside).sum()), one.box is not None))
    assert {(1, 0, False), (2, 0, False), (1, 1, False), (0, 0, True), (1, 0, True)} <= kinds


def test_classes_of_pixels_are_those_of_objects_too() -> None:
    assert torch.equal(labels().classes_of_pixels(), labels(known=False).classes_of_pixels())
    assert (labels(stuff=False).classes_of_pixels() == UNKNOWN).all()
    right = torch.nn.functional.one_hot(labels().classes_of_pixels(), 4).permute(2, 0, 1)[None] * 20.0
    assert float(sum(class_losses([right], [labels()]).values())) < 1e-3
    assert float(sum(class_losses([-right], [labels()]).values())) > 10


def test_steps_lower_the_loss_and_every_task_learns() -> None:
    own, x = made(), picture()
    optimiser = torch.optim.AdamW(own.parameters(), 3e-3)
    sums = []
    for _ in range(14):
        losses = own.train()(x, [labels()])
        optimiser.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        torch.nn.utils.clip_grad_norm_(own.parameters(), 1.0)
        optimiser.step()
        sums.append(float(total.detach()))
    assert np.mean(sums[-3:]) < 0.8 * np.mean(sums[:3])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"things": []}, "things are some of the positions 0 to 3, not all"),
        ({"things": [0, 1, 2, 3]}, "not all"),
        ({"things": [4]}, "positions 0 to 3"),
        ({"width": 40}, "multiple of 32"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        made(**arguments)
