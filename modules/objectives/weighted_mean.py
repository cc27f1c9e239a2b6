"""The weighted mean of a validation."""

import torch
from torch import Tensor
from torchmetrics import Metric


class WeightedMean(Metric):
    """A mean over all batches and ranks, by which a number that is not finite is not hidden.

    torchmetrics' own leaves the weights out where it is told to let such numbers through.
    """

    total: Tensor
    weight: Tensor

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, values: Tensor, weights: Tensor) -> None:
        """Adds values and weights, both ``[Q]``, or both a scalar."""
        self.total += (values * weights).sum()
        self.weight += weights.sum()

    def compute(self) -> Tensor:
        return self.total / self.weight
