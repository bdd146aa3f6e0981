"""Batch norms folded into the convolutions before them: the same function with fewer passes over memory."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module, example: Tensor) -> tuple[nn.Module, int]:
    """Network with its batch norms folded, and how many were; itself and 0 if that does not hold.

    In evaluation a batch norm is an affine map per channel, which a convolution right before it can take into
    its weights (Jacob et al. 2018). Which convolution stands before which norm is seen in one forward of
    `example`; whether its output is used elsewhere too is not, so the outputs are compared afterwards.

    Parameters
    ----------
    network
        Float32, in evaluation mode, on the CPU.
    example
        Input (1, C, H, W) that the network takes.
    """
    pairs = _pairs(network, example)
    if not pairs:
        return network, 0
    folded = copy.deepcopy(network)
    for conv, norm in pairs:
        before, after = folded.get_submodule(conv), folded.get_submodule(norm)
        folded.set_submodule(conv, fuse_conv_bn_eval(before, after))  # type: ignore[type-var, arg-type]
        # timm's norms bring their activation along
        folded.set_submodule(norm, getattr(after, "act", None) or nn.Identity())
    with torch.inference_mode():
        expected, found = network(example), folded(example)
    close = torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    return (folded, len(pairs)) if close else (network, 0)


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Names of (convolution, batch norm) where the one's output is the other's input."""
    outputs: list[tuple[str, Tensor]] = []  # keeps the tensors, so that no identity is given out twice
    pairs: list[tuple[str, str]] = []
    hooks = []

    def note(name: str) -> None:
        module = network.get_submodule(name)
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda _m, _i, out: outputs.append((name, out))))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            hooks.append(
                module.register_forward_pre_hook(
                    lambda _m, taken: pairs.extend((conv, name) for conv, out in outputs if out is taken[0])
                )
            )

    for name, _ in network.named_modules():
        note(name)
    try:
        with torch.inference_mode():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    once = all(len(set(sides)) == len(pairs) for sides in zip(*pairs, strict=True))
    return pairs if once else []
