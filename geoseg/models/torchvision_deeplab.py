"""DeepLabV3 as torchvision builds it, whose weights other programs save."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name)

_ENCODERS = ("resnet50", "resnet101", "mobilenet_v3_large")


def deeplabv3_torchvision(*, encoder: str, bands: int, classes: int) -> nn.Module:
    """DeepLabV3 of torchvision, Raster Vision's default (Chen et al. 2017, arXiv 1706.05587)."""
    return TorchvisionDeepLabV3(encoder=encoder, bands=bands, classes=classes)


class TorchvisionDeepLabV3(nn.Module):
    """Its weights have torchvision's names: ``backbone`` and ``classifier``."""

    def __init__(self, *, encoder: str, bands: int, classes: int) -> None:
        super().__init__()
        from torchvision.models import segmentation

        if encoder not in _ENCODERS:
            raise ValueError(f"expected one of {', '.join(_ENCODERS)}")
        network = getattr(segmentation, f"deeplabv3_{encoder}")(
            weights=None, weights_backbone=None, num_classes=classes, aux_loss=False
        )
        self.backbone, self.classifier = network.backbone, network.classifier
        first = next(m for m in self.backbone.modules() if isinstance(m, nn.Conv2d))
        if bands != first.in_channels:
            outputs, _, *side = first.weight.shape
            first.in_channels = bands
            first.weight = nn.Parameter(first.weight.new_empty(outputs, bands, *side))
            first.reset_parameters()

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        backbone: nn.Module = self.backbone
        return backbone

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) of (N, C, H, W) with H and W of any size."""
        logits: Tensor = self.classifier(self.backbone(x)["out"])
        return F.interpolate(logits, size=x.shape[2:], mode="bilinear", align_corners=False)
