"""Bundles whose description is not true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.bad_input.case import Case, model, text


def models() -> Iterator[Case]:
    """Models."""
    with_model = "predict BASE/scene.tif --model model --out out"
    yield Case(
        what="a model that is not there",
        command="predict BASE/scene.tif --model forest-s2-rgd --out out",
        code=3,
        says=("forest-s2-rgb",),
    )
    yield Case(
        what="a pickle",
        make=lambda: text("model.pt", b"\x80\x04."),
        command="predict BASE/scene.tif --model model.pt --out out",
        code=3,
        says=("can run code",),
    )
    yield Case(
        what="a description that is no JSON",
        make=lambda: model(b"{"),
        command=with_model,
        code=3,
        says=("not valid JSON",),
    )
    yield Case(
        what="a description without a licence",
        make=lambda: model(lambda c: c.pop("licence")),
        command=with_model,
        code=3,
        says=("licence",),
    )
    yield Case(
        what="weights that were changed",
        make=lambda: model(lambda c: c["weights"].update(sha256="0" * 64)),
        command=with_model,
        code=3,
        says=("sha-256",),
    )
    yield Case(
        what="a legend of fewer classes than the weights",
        make=lambda: model(lambda c: c["legend"].pop()),
        command=with_model,
        code=3,
        says=("weight", "shape"),
    )
    yield Case(
        what="a spread that is no number",
        make=lambda: model(spread),
        command=with_model,
        code=3,
        says=("bundle.json", "std"),
    )
    yield Case(
        what="an architecture that asks for gigabytes",
        make=lambda: model(
            lambda c: c.update(
                architecture={
                    "name": "unet",
                    "encoder": "resnet18",
                    "arguments": {"decoder_channels": [90_000] * 5},
                }
            )
        ),
        command=with_model,
        code=3,
        says=("weights",),
    )


def spread(content: dict[str, Any]) -> None:
    content["input"]["std"] = [float("nan")] * 3
