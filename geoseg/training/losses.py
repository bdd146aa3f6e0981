"""Losses by name, and weighted sums of them; label 255 is ignored everywhere."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from geoseg.legend import NODATA
from geoseg.training.job import TrainJob

Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(job: TrainJob, weights: Tensor | None) -> Loss:
    """Weighted sum of the job's losses, of logits (N, K, H, W) and class positions (N, H, W) int64.

    Parameters
    ----------
    weights
        (K,) class weights for cross-entropy and focal loss; None for equal ones.
    """
    parts = [(factor, _one(name, job, weights)) for name, factor in job.loss.items()]

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        if not (labels != NODATA).any():
            return logits.sum() * 0.0  # nothing to learn, and no division by nothing
        return torch.stack([factor * part(logits, labels) for factor, part in parts]).sum()

    return loss


def _one(name: str, job: TrainJob, weights: Tensor | None) -> Loss:
    from segmentation_models_pytorch import losses

    if name == "cross_entropy":
        return CrossEntropy(weights, job.label_smoothing)
    if name == "focal":
        return Focal(weights, job.focal_gamma)
    if name == "lovasz":  # Berman et al. 2018
        found: Loss = losses.LovaszLoss("multiclass", ignore_index=NODATA)
        return found
    # Tversky (Salehi et al. 2017) with 1/2 and 1/2 is soft Dice, with 1 and 1 soft Jaccard
    alpha, beta = {
        "dice": (0.5, 0.5),
        "jaccard": (1.0, 1.0),
        "tversky": (job.tversky_alpha, job.tversky_beta),
    }[name]
    overlap: Loss = losses.TverskyLoss("multiclass", alpha=alpha, beta=beta, ignore_index=NODATA)
    return overlap


class CrossEntropy(nn.Module):
    """Cross-entropy with class weights and label smoothing (Szegedy et al. 2016)."""

    def __init__(self, weights: Tensor | None, smoothing: float) -> None:
        super().__init__()
        self.weights, self.smoothing = weights, smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over labelled pixels."""
        return cross_entropy(
            logits, labels, self.weights, ignore_index=NODATA, label_smoothing=self.smoothing
        )


class Focal(nn.Module):
    """Focal loss on the softmax (Lin et al. 2017): (1 - p)^gamma times the cross-entropy."""

    def __init__(self, weights: Tensor | None, gamma: float) -> None:
        super().__init__()
        self.weights, self.gamma = weights, gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over labelled pixels, by class weights."""
        known = labels != NODATA
        own = labels.masked_fill(~known, 0)
        log_p = logits.log_softmax(dim=1).gather(1, own[:, None])[:, 0]
        share = known.to(logits.dtype) if self.weights is None else self.weights[own] * known
        return -(share * (1 - log_p.exp()) ** self.gamma * log_p).sum() / share.sum()
