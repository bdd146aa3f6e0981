"""SAM and SAM 2 on the parts of transformers (extra ``objects``), from configurations that stand here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name)

from geoseg.errors import ResourceError
from geoseg.models.prompt import Prompt

_PROMPTS = {
    "hidden_size": 256,
    "image_size": 1024,
    "patch_size": 16,
    "mask_input_channels": 16,
    "num_point_embeddings": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
}
_DECODER = {
    "hidden_size": 256,
    "mlp_dim": 2048,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "attention_downsample_rate": 2,
    "num_multimask_outputs": 3,
    "iou_head_depth": 3,
    "iou_head_hidden_dim": 256,
}
_VIT = {
    "output_channels": 256,
    "num_channels": 3,
    "image_size": 1024,
    "patch_size": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "attention_dropout": 0.0,
    "qkv_bias": True,
    "mlp_ratio": 4.0,
    "use_abs_pos": True,
    "use_rel_pos": True,
    "window_size": 14,
    "num_pos_feats": 128,
}
_HIERA = {
    "num_channels": 3,
    "image_size": [1024, 1024],
    "patch_kernel_size": [7, 7],
    "patch_stride": [4, 4],
    "patch_padding": [3, 3],
    "query_stride": [2, 2],
    "num_query_pool_stages": 3,
    "mlp_ratio": 4.0,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
}
_NECK = {
    "backbone_feature_sizes": [[256, 256], [128, 128], [64, 64]],
    "fpn_hidden_size": 256,
    "fpn_kernel_size": 1,
    "fpn_stride": 1,
    "fpn_padding": 0,
    "fpn_top_down_levels": [2, 3],
    "num_feature_levels": 3,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
}


def _vit(width: int, depth: int, heads: int, across: list[int]) -> dict[str, Any]:
    own = {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "global_attn_indexes": across,
    }
    return {
        "vision_config": {**_VIT, **own},
        "prompt_encoder_config": _PROMPTS,
        "mask_decoder_config": {**_DECODER, "hidden_act": "relu", "layer_norm_eps": 1e-6},
    }


def _hiera(
    width: int, heads: int, blocks: list[int], across: list[int], *, background: int, third: int = 14
) -> dict[str, Any]:
    widths = [width * 2**stage for stage in range(4)]
    own = {
        "hidden_size": width,
        "num_attention_heads": heads,
        "blocks_per_stage": blocks,
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [heads * 2**stage for stage in range(4)],
        "window_size_per_stage": [8, 4, third, third // 2],
        "window_positional_embedding_background_size": [background, background],
        "global_attention_blocks": across,
    }
    stable = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    return {
        "vision_config": {
            **_NECK,
            "backbone_channel_list": widths[::-1],
            "backbone_config": {"model_type": "sam2_hiera_det_model", **_HIERA, **own},
        },
        "prompt_encoder_config": {**_PROMPTS, "scale": 1},
        "mask_decoder_config": {**_DECODER, "hidden_act": "gelu", **stable},
    }


SAM: Mapping[str, Mapping[str, Any]] = {
    "vit_b": _vit(768, 12, 12, [2, 5, 8, 11]),
    "vit_l": _vit(1024, 24, 16, [5, 11, 17, 23]),
    "vit_h": _vit(1280, 32, 16, [7, 15, 23, 31]),
}
"""Configurations of SAM as published, by encoder, in the names of transformers."""

SAM2: Mapping[str, Mapping[str, Any]] = {
    "hiera_tiny": _hiera(96, 1, [1, 2, 7, 2], [5, 7, 9], background=7),
    "hiera_small": _hiera(96, 1, [1, 2, 11, 2], [7, 10, 13], background=7),
    "hiera_base_plus": _hiera(112, 2, [2, 3, 16, 3], [12, 16, 20], background=14),
    "hiera_large": _hiera(144, 2, [2, 6, 36, 4], [23, 33, 43], background=7, third=16),
}
"""Those of SAM 2 and 2.1."""


def sam(
    *, encoder: str, bands: int, classes: int, config: Mapping[str, Any] | None = None
) -> SegmentAnything:
    """Segment Anything, with a vision transformer (Kirillov et al. 2023, arXiv 2304.02643).

    `encoder` is a key of `SAM`; `config` changes fields of it, as pruned networks need.
    """
    return _built(SAM, encoder, bands, classes, config, "Sam")


def sam2(
    *, encoder: str, bands: int, classes: int, config: Mapping[str, Any] | None = None
) -> SegmentAnything:
    """Segment Anything 2, on single pictures (Ravi et al. 2024, arXiv 2408.00714).

    As `sam`, with a key of `SAM2`; what SAM 2 has for videos is left out.
    """
    return _built(SAM2, encoder, bands, classes, config, "Sam2")


def _built(
    known: Mapping[str, Mapping[str, Any]],
    encoder: str,
    bands: int,
    classes: int,
    config: Mapping[str, Any] | None,
    kind: str,
) -> SegmentAnything:
    if encoder not in known:
        raise ValueError(f"unknown encoder {encoder!r}, known are {', '.join(known)}")
    if bands != 3 or classes != 1:
        raise ValueError(f"it takes 3 bands and answers with 1 class, found {bands} and {classes}")
    try:
        import transformers
    except ImportError:
        raise ResourceError(
            "SAM and SAM 2 need the package transformers", hint="pip install 'geoseg[objects]'"
        ) from None
    described = getattr(transformers, f"{kind}Config")(**_changed(known[encoder], config or {}))
    return SegmentAnything(getattr(transformers, f"{kind}Model")(described))


def _changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with some fields, at any depth, changed; always a copy."""
    nested = {key: _changed(value, changes.get(key, {})) for key, value in config.items() if _is_map(value)}
    return {**config, **changes, **nested}


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


class SegmentAnything(nn.Module):
    """A `PromptNetwork` of transformers' `SamModel` or `Sam2Model`: one embedding answers many prompts.

    A point alone gets the best of three masks, by the network's own estimate of their quality; more points or
    a box say enough for one mask. Boxes are handed over by their first and last pixels, as in the training.
    """

    centred = False

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.side = int(model.config.prompt_encoder_config.image_size)

    def embed(self, x: Tensor) -> Any:
        """Embeddings of images (n, 3, side, side)."""
        return self.model.get_image_embeddings(x)

    def answer(self, embedded: Any, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor | None]:
        """(probabilities (n, side, side), estimated IoU (n,)) of n prompts on one image.

        Prompts alike in their parts are decoded together, filled up to n, so that an answer does not
        depend on the others.
        """
        alike: dict[tuple[int, bool], list[int]] = {}
        for i, prompt in enumerate(prompts):
            alike.setdefault((len(prompt.points), prompt.box is not None), []).append(i)
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for members in alike.values():
            filled = [prompts[members[i % len(members)]] for i in range(len(prompts))]
            masks, scores = self._decoded(embedded, filled)
            found |= {i: (masks[k], scores[k]) for k, i in enumerate(members)}
        ordered = [found[i] for i in range(len(prompts))]
        return torch.stack([mask for mask, _ in ordered]), torch.stack([score for _, score in ordered])

    def _decoded(self, embedded: Any, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        whole = [embedded] if isinstance(embedded, Tensor) else embedded
        exact = [feature.float() for feature in whole]  # positions have no meaning in eight bits
        device, asked = exact[0].device, _asked(prompts)
        with torch.autocast(device.type, enabled=False):
            answer = self.model(
                image_embeddings=exact[0] if isinstance(embedded, Tensor) else exact,
                multimask_output=len(prompts[0].points) == 1 and prompts[0].box is None,
                **{name: value.to(device)[None] for name, value in asked.items()},
            )
        quality = answer.iou_scores[0]  # (n, masks)
        best = (quality * 100 + 0.5).floor().argmax(dim=1)
        each = torch.arange(len(prompts), device=device)
        logits = answer.pred_masks[0][each, best]
        size = (self.side, self.side)
        full = F.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)
        return full[:, 0].sigmoid(), quality[each, best]

    def own_weights(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """(weights by this module's names, names that are of no use to it), of what others saved.

        Those are Meta's own checkpoints and files of transformers.
        """
        return own_weights(weights)


def _asked(prompts: Sequence[Prompt]) -> dict[str, Tensor]:
    """Points (n, k, 2), their labels (n, k) and boxes (n, 4) of n prompts alike in their parts."""
    asked: dict[str, Tensor] = {}
    if len(prompts[0].points):
        points = torch.stack([torch.from_numpy(prompt.points[:, ::-1].copy()) for prompt in prompts])
        asked["input_points"] = points.float()
        asked["input_labels"] = torch.stack([torch.from_numpy(p.inside.astype("int64")) for p in prompts])
    boxes = [prompt.box for prompt in prompts if prompt.box is not None]
    if boxes:
        corners = [(col, row, col_end - 1, row_end - 1) for row, col, row_end, col_end in boxes]
        asked["input_boxes"] = torch.tensor(corners, dtype=torch.float32)
    return asked


_PARTS = (
    "vision_encoder.",
    "prompt_encoder.",
    "mask_decoder.",
    "shared_image_embedding.",
    "no_memory_embedding",
)
_PLACES = ("proj_in", "layers.0", "proj_out")  # of three layers
_SHARED, _WIDE = "shared_embedding.positional_embedding", "shared_image_embedding.positional_embedding"

_Rule = tuple[str, str | Callable[[re.Match[str]], str]]
_META: tuple[_Rule, ...] = (
    (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
    (r"\.norm(\d|_)", r".layer_norm\1"),
    (r"(blocks|transformer\.layers)\.(\d+)\.mlp\.layers\.0\.", r"\1.\2.mlp.proj_in."),
    (r"(blocks|transformer\.layers)\.(\d+)\.mlp\.layers\.1\.", r"\1.\2.mlp.proj_out."),
    (
        r"(output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head)\.layers\.(\d)\.",
        lambda found: f"{found[1]}.{_PLACES[int(found[2])]}.",
    ),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"point_embeddings\.", "point_embed."),
    (r"pe_layer\.positional_encoding_gaussian_matrix$", _SHARED),
)
"""From Meta's names to those of transformers."""


def own_weights(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """(weights by the names of `SegmentAnything`, names of the others); see there."""
    of_meta = any(key.startswith("image_encoder.") for key in weights)
    second = any("trunk." in key or "backbone." in key for key in weights)
    taken: dict[str, Tensor] = {}
    others = []
    for key, value in weights.items():
        name = _renamed(key, second=second) if of_meta else key
        if name.startswith(_PARTS):
            taken[name] = value
        else:
            others.append(key)
    if of_meta and second:
        _second(taken)
    if f"prompt_encoder.{_SHARED}" in taken:
        taken.setdefault(_WIDE, taken[f"prompt_encoder.{_SHARED}"])  # one tensor in both places
    elif _WIDE in taken:
        taken[f"prompt_encoder.{_SHARED}"] = taken[_WIDE]
    return {f"model.{name}": value for name, value in taken.items()}, tuple(others)


def _renamed(key: str, *, second: bool) -> str:
    for pattern, name in _META:
        key = re.sub(pattern, name, key)
    return re.sub(r"(transformer\..*)\.out_proj\.", r"\1.o_proj.", key) if second else key


def _second(taken: dict[str, Tensor]) -> None:
    """SAM 2 in transformers keeps its four kinds of points in one table."""
    parts = [taken.pop(f"prompt_encoder.point_embed.{i}.weight", None) for i in range(4)]
    found = [part for part in parts if part is not None]
    if len(found) == len(parts):
        taken["prompt_encoder.point_embed.weight"] = torch.cat(found)
