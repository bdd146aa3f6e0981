"""Small bundles that tests make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from geoseg.legend import Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import Bundle, save_bundle
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription

LEGEND = Legend.of({3: "water", 7: "forest", 9: "pasture"})


def contract(bands: int = 3, **changes: Any) -> InputContract:
    """Contract of that many 8-bit bands."""
    fields: dict[str, Any] = {
        "bands": tuple(Band(name=f"b{i}") for i in range(1, bands + 1)),
        "dtype": "uint8",
        "value_range": (0, 255),
        "mean": tuple(90.0 + i for i in range(bands)),
        "std": tuple(40.0 + i for i in range(bands)),
        "pixel_size": (5, 20),
    }
    return InputContract(**fields | changes)


def network(architecture: Architecture, *, bands: int = 3, classes: int = 3, seed: int = 0) -> nn.Module:
    """Network with seeded weights that finds every class somewhere in uniform 8-bit noise: unit logits."""
    torch.manual_seed(seed)
    built = build(architecture, bands=bands, classes=classes)
    noise = (torch.rand(4, bands, 64, 64) - 0.35) * 6
    with torch.no_grad():
        for _ in range(15):  # batch norms learn the statistics of their inputs
            built.train()(noise)
        logits = built.eval()(noise)
        spread, middle = logits.std((0, 2, 3)), logits.mean((0, 2, 3))
        head = [m for m in built.modules() if isinstance(m, nn.Conv2d)][-1]
        head.weight /= spread.view(-1, 1, 1, 1)
        head.bias.copy_((head.bias - middle) / spread)
    return built


def bundle(folder: Path, architecture: Architecture | None = None, **changes: Any) -> Bundle:
    """Bundle written to ``folder / 'made'``; a linear classifier unless told otherwise."""
    architecture = architecture or Architecture(name="linear")
    fields: dict[str, Any] = {
        "name": "made",
        "version": "0.1",
        "architecture": architecture,
        "contract": contract(),
        "legend": LEGEND,
        "licence": "CC0-1.0",
    } | changes
    weights = fields.pop("network", None)
    how = {key: fields.pop(key) for key in ("half", "overwrite", "card", "files") if key in fields}
    if weights is None:
        shape = {"bands": len(fields["contract"].bands), "classes": len(fields["legend"])}
        weights = network(fields["architecture"], **shape)
    return save_bundle(folder / "made", weights, ModelDescription(**fields), **how)
