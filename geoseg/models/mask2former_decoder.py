"""The decoders and losses of transformers' Mask2Former, over features that are given; needs transformers.

The configuration stands here in full, so that other defaults of another release change nothing, and nothing
is ever fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import Mask2FormerConfig, Mask2FormerPreTrainedModel
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerLoss,
    Mask2FormerPixelDecoder,
    Mask2FormerTransformerModule,
)

_HEADS = 8
_WEIGHTS = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}  # the paper's

Answer = tuple[Tensor, Tensor]
"""Logits (N, Q, K + 1) of the queries' classes, the last for none, and of their masks (N, Q, H/4, W/4)."""


class Mask2FormerDecoder(Mask2FormerPreTrainedModel):  # type: ignore[misc]
    """From four levels of features to what the queries answer after every layer.

    Parameters
    ----------
    widths
        Channels of the levels, of strides 4, 8, 16, 32.
    sizes
        ``width``, and ``num_queries``, ``encoder_layers``, ``decoder_layers`` as transformers calls them.
    """

    def __init__(self, widths: Sequence[int], *, classes: int, sizes: Mapping[str, int]) -> None:
        config = _config(classes, sizes)
        super().__init__(config)
        self.pixel_decoder = Mask2FormerPixelDecoder(config, feature_channels=list(widths))
        self.transformer_module = Mask2FormerTransformerModule(in_features=config.feature_size, config=config)
        self.class_predictor = nn.Linear(config.hidden_dim, classes + 1)
        self.criterion = Mask2FormerLoss(config=config, weight_dict=_WEIGHTS)
        self.post_init()

    def forward(self, levels: Sequence[Tensor]) -> list[Answer]:
        """What the queries answer, the last one last."""
        pixels = self.pixel_decoder(list(levels))
        found = self.transformer_module(
            multi_scale_features=pixels.multi_scale_features,
            mask_features=pixels.mask_features,
            output_hidden_states=True,
        )
        queries = found.intermediate_hidden_states
        classes = [self.class_predictor(state.transpose(0, 1)) for state in queries]
        return list(zip(classes, found.masks_queries_logits, strict=True))

    def losses(
        self, answers: Sequence[Answer], masks: list[Tensor], classes: list[Tensor]
    ) -> dict[str, Tensor]:
        """Losses by name, of every layer's answers, on masks (n, H, W) and classes (n,) of each tile."""
        *earlier, (last_classes, last_masks) = answers
        found: dict[str, Tensor] = self.criterion(
            masks_queries_logits=last_masks,
            class_queries_logits=last_classes,
            mask_labels=masks,
            class_labels=classes,
            auxiliary_predictions=[
                {"class_queries_logits": own, "masks_queries_logits": shapes} for own, shapes in earlier
            ],
        )
        return {name: value * _weight(name) for name, value in found.items()}


def _weight(name: str) -> float:
    return next(weight for start, weight in _WEIGHTS.items() if name.startswith(start))


def _config(classes: int, sizes: Mapping[str, int]) -> Mask2FormerConfig:
    fixed: dict[str, Any] = {
        "activation_function": "relu",
        "class_weight": _WEIGHTS["loss_cross_entropy"],
        "common_stride": 4,
        "dice_weight": _WEIGHTS["loss_dice"],
        "dropout": 0.0,
        "enforce_input_projection": False,
        "feature_strides": [4, 8, 16, 32],
        "ignore_value": 255,
        "importance_sample_ratio": 0.75,
        "init_std": 0.02,
        "init_xavier_std": 1.0,
        "mask_weight": _WEIGHTS["loss_mask"],
        "no_object_weight": 0.1,
        "num_attention_heads": _HEADS,
        "oversample_ratio": 3.0,
        "pre_norm": False,
        "train_num_points": 12544,
        "use_auxiliary_loss": True,
    }
    width = sizes["width"]
    return Mask2FormerConfig(
        num_labels=classes,
        feature_size=width,
        mask_feature_size=width,
        hidden_dim=width,
        encoder_feedforward_dim=4 * width,
        dim_feedforward=8 * width,
        num_queries=sizes["num_queries"],
        encoder_layers=sizes["encoder_layers"],
        decoder_layers=sizes["decoder_layers"] + 1,  # it counts the answer before the first layer
        **fixed,
    )
