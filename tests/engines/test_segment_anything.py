"""SAM and SAM 2: the answers of transformers' own pipeline, and weights by whatever names they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.engines.opening import open_prompt_engine
from geoseg.errors import InputError, ResourceError, UsageError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.models.importing import import_checkpoint
from geoseg.models.known.get import get_model
from geoseg.models.prompt import Prompt
from geoseg.models.segment_anything import own_weights

transformers = pytest.importorskip("transformers")

SIDE = 128
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DECODER = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 4, "iou_head_hidden_dim": 16}
_PROMPTS = {"hidden_size": 32, "image_size": SIDE, "mask_input_channels": 8}
SMALL = {
    "sam": Architecture(
        name="sam",
        encoder="vit_b",
        arguments={
            "config": {
                "vision_config": {
                    "hidden_size": 32,
                    "output_channels": 32,
                    "num_pos_feats": 16,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 4,
                    "global_attn_indexes": [1],
                    "image_size": SIDE,
                },
                "prompt_encoder_config": _PROMPTS,
                "mask_decoder_config": _DECODER,
            }
        },
    ),
    "sam2": Architecture(
        name="sam2",
        encoder="hiera_tiny",
        arguments={
            "config": {
                "vision_config": {
                    "backbone_config": {
                        "hidden_size": 8,
                        "embed_dim_per_stage": [8, 16, 32, 64],
                        "blocks_per_stage": [1, 2, 2, 1],
                        "global_attention_blocks": [4],
                        "image_size": [SIDE, SIDE],
                    },
                    "backbone_channel_list": [64, 32, 16, 8],
                    "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
                    "fpn_hidden_size": 32,
                },
                "prompt_encoder_config": _PROMPTS,
                "mask_decoder_config": _DECODER,
            }
        },
    ),
}


def described(kind: str) -> ModelDescription:
    return ModelDescription(
        name=kind,
        version="1",
        architecture=SMALL[kind],
        contract=InputContract(
            bands=tuple(Band(name=name) for name in ("red", "green", "blue")),
            dtype="uint8",
            value_range=(0, 255),
            mean=tuple(255 * value for value in MEAN),
            std=tuple(255 * value for value in STD),
            pixel_size=(0.1, 30),
        ),
        legend=Legend.of({1: "object"}),
        licence="Apache-2.0",
        tasks=("promptable",),
    )


def noisy(kind: str) -> Any:
    """The network of transformers, with seeded weights none of which is zero."""
    torch.manual_seed(3)
    model = build(SMALL[kind], bands=3, classes=1).model
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    return model.eval()


@pytest.fixture(scope="module", params=["sam", "sam2"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(kind, the network of transformers, a bundle of the file that it saved)."""
    kind, folder = request.param, tmp_path_factory.mktemp("saved")
    model = noisy(kind)
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    made = import_checkpoint(file, folder / "bundle", described(kind))
    assert made.left_out == ()
    return kind, model, made.bundle


def prompt(points: Any, inside: Any, box: Any = None) -> Prompt:
    return Prompt(
        points=np.array(points, np.int64).reshape(-1, 2), inside=np.array(inside, np.bool_), box=box
    )


ASKED = [
    (prompt([[30, 90]], [True]), {"input_points": [[[[90, 30]]]], "input_labels": [[[1]]]}, True),
    (
        prompt([[30, 90], [100, 20]], [True, False]),
        {"input_points": [[[[90, 30], [20, 100]]]], "input_labels": [[[1, 0]]]},
        False,
    ),
    (prompt([], [], (10, 20, 70, 100)), {"input_boxes": [[[20.0, 10.0, 99.0, 69.0]]]}, False),
]


def test_answers_are_those_of_transformers_own_pipeline(pair: Any) -> None:
    kind, model, bundle = pair
    rng = np.random.default_rng(4)
    picture = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    if kind == "sam":
        images = transformers.SamImageProcessor(
            size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}
        )
        processor = transformers.SamProcessor(images)
    else:
        images = transformers.Sam2ImageProcessor(size={"height": SIDE, "width": SIDE})
        processor = transformers.Sam2Processor(images, target_size=SIDE)
    engine = open_prompt_engine(bundle)
    assert (engine.side, engine.centred) == (SIDE, False)
    raw = np.ascontiguousarray(picture.transpose(2, 0, 1))[None]
    (ours,) = engine.answer(raw, np.ones((1, SIDE, SIDE), np.bool_), [[one for one, _, _ in ASKED]])
    network: Any = build(SMALL[kind], bands=3, classes=1).eval()
    network.model = model
    for (one, words, several), masked in zip(ASKED, ours, strict=True):
        inputs = processor(images=picture, return_tensors="pt", **words)
        with torch.inference_mode():
            expected = model(
                pixel_values=inputs["pixel_values"],
                multimask_output=several,
                **{name: inputs[name] for name in words},
            )
            embedded = network.embed(inputs["pixel_values"])
            probabilities, quality = network.answer(embedded, [one])
        best = int(expected.iou_scores[0, 0].argmax())
        sizes = [torch.tensor([[SIDE, SIDE]])] * (2 if kind == "sam" else 1)
        logits = processor.post_process_masks(expected.pred_masks, *sizes, binarize=False)[0][0, best]
        assert torch.allclose(probabilities[0], logits.sigmoid(), atol=1e-5)
        assert float(quality[0]) == pytest.approx(float(expected.iou_scores[0, 0, best]), abs=1e-5)
        sure = logits.abs().numpy() > 0.02  # half a step of a probability in 255 steps
        assert sure.mean() > 0.2
        assert np.array_equal(masked.mask[sure], (logits > 0).numpy()[sure])


def test_an_answer_does_not_depend_on_what_is_asked_with_it(pair: Any) -> None:
    _, model, bundle = pair
    network: Any = build(bundle.architecture, bands=3, classes=1).eval()
    network.model = model
    embedded = network.embed(torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)))
    prompts = [one for one, _, _ in ASKED]
    with torch.inference_mode():
        together = network.answer(embedded, prompts)
        for i, one in enumerate(prompts):
            others = network.answer(embedded, [one, prompts[i - 1], prompts[i - 2]])
            for whole, mixed in zip(together, others, strict=True):
                assert torch.equal(whole[i], mixed[0])


META = {
    "sam": {
        "image_encoder.pos_embed": "vision_encoder.pos_embed",
        "image_encoder.patch_embed.proj.bias": "vision_encoder.patch_embed.projection.bias",
        "image_encoder.blocks.1.norm1.weight": "vision_encoder.layers.1.layer_norm1.weight",
        "image_encoder.blocks.1.attn.rel_pos_h": "vision_encoder.layers.1.attn.rel_pos_h",
        "image_encoder.blocks.1.mlp.lin1.bias": "vision_encoder.layers.1.mlp.lin1.bias",
        "image_encoder.neck.3.bias": "vision_encoder.neck.layer_norm2.bias",
        "prompt_encoder.point_embeddings.2.weight": "prompt_encoder.point_embed.2.weight",
        "prompt_encoder.mask_downscaling.4.bias": "prompt_encoder.mask_embed.layer_norm2.bias",
        "mask_decoder.transformer.layers.0.norm4.bias": "mask_decoder.transformer.layers.0.layer_norm4.bias",
        "mask_decoder.transformer.norm_final_attn.bias": (
            "mask_decoder.transformer.layer_norm_final_attn.bias"
        ),
        "mask_decoder.transformer.layers.0.self_attn.out_proj.bias": (
            "mask_decoder.transformer.layers.0.self_attn.out_proj.bias"
        ),
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.bias": (
            "mask_decoder.output_hypernetworks_mlps.3.proj_out.bias"
        ),
        "mask_decoder.iou_prediction_head.layers.1.bias": "mask_decoder.iou_prediction_head.layers.0.bias",
        "mask_decoder.output_upscaling.3.bias": "mask_decoder.upscale_conv2.bias",
    },
    "sam2": {
        "image_encoder.trunk.pos_embed_window": "vision_encoder.backbone.pos_embed_window",
        "image_encoder.trunk.blocks.3.norm2.bias": "vision_encoder.backbone.blocks.3.layer_norm2.bias",
        "image_encoder.trunk.blocks.1.mlp.layers.1.bias": (
            "vision_encoder.backbone.blocks.1.mlp.proj_out.bias"
        ),
        "image_encoder.trunk.blocks.1.proj.bias": "vision_encoder.backbone.blocks.1.proj.bias",
        "image_encoder.neck.convs.2.conv.bias": "vision_encoder.neck.convs.2.bias",
        "sam_mask_decoder.transformer.layers.1.mlp.layers.0.bias": (
            "mask_decoder.transformer.layers.1.mlp.proj_in.bias"
        ),
        "sam_mask_decoder.transformer.layers.1.self_attn.out_proj.bias": (
            "mask_decoder.transformer.layers.1.self_attn.o_proj.bias"
        ),
        "sam_mask_decoder.pred_obj_score_head.layers.0.bias": "mask_decoder.pred_obj_score_head.proj_in.bias",
        "sam_mask_decoder.conv_s0.bias": "mask_decoder.conv_s0.bias",
        "no_mem_embed": "no_memory_embedding",
    },
}


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_metas_own_names_are_known(kind: str) -> None:
    matrix = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    if kind == "sam2":
        matrix = f"sam_{matrix}"
    expected = build(SMALL[kind], bands=3, classes=1).state_dict()
    found, others = own_weights(
        {matrix: torch.ones(1), "memory_encoder.x": torch.ones(1), **{k: torch.ones(1) for k in META[kind]}}
    )
    assert set(found) >= {f"model.{name}" for name in META[kind].values()}
    assert set(found) <= set(expected)
    assert others == ("memory_encoder.x",)
    places = ("prompt_encoder.shared_embedding", "shared_image_embedding")
    assert {f"model.{place}.positional_embedding" for place in places} <= set(found)
    if kind == "sam2":
        table = {f"sam_prompt_encoder.point_embeddings.{i}.weight": torch.full((1, 2), i) for i in range(4)}
        found, _ = own_weights({**{k: torch.ones(1) for k in META[kind]}, **table})
        assert found["model.prompt_encoder.point_embed.weight"][:, 0].tolist() == [0, 1, 2, 3]


def test_a_file_that_is_not_all_there_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {"image_encoder.pos_embed": torch.ones(1)}}, tmp_path / "sam.pth")
    with pytest.raises(InputError, match="do not fit"):
        import_checkpoint(tmp_path / "sam.pth", tmp_path / "out", described("sam"))


def test_without_the_extra_it_is_said_what_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ResourceError, match="SAM 2 need") as raised:
        build(SMALL["sam2"], bands=3, classes=1)
    assert "geoseg[objects]" in str(raised.value.hint)


def test_recipes_name_the_licence_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="licence of sam2-tiny") as raised:
        get_model("sam2-tiny", source=tmp_path)
    assert "Apache-2.0" in str(raised.value.why)
