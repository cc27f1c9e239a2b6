"""Features that all batches of an optimizer step share: encoded once, and differentiated once."""

from collections.abc import Callable

from torch import Tensor


class StepFeatures:
    """Encodes at the first batch of an optimizer step, and goes back through the encoder at the last.

    In between the weights stand still: every batch would encode the same. The batches before the last get a leaf
    that collects their gradients; these join the last one's on its way into the encoder. So the encoder's parameters
    have their gradients from the last backward pass alone, which is the one that DistributedDataParallel waits for.

    Args:
        encode: gives the features, with their graph.
    """

    def __init__(self, encode: Callable[[], Tensor]):
        self._encode = encode
        self._features: Tensor | None = None
        self._leaf: Tensor | None = None

    def of_batch(self, begins_step: bool, ends_step: bool) -> Tensor:
        """The features in float32, in which gradients are summed up whatever the network computes in.

        Args:
            begins_step: it is the first batch of an optimizer step.
            ends_step: it is the last one.
        """
        if begins_step:
            self._features, self._leaf = self._encode().float(), None
        features, leaf = self._features, self._leaf
        assert features is not None, "a step begins with its first batch"
        if ends_step:
            self._features = self._leaf = None  # the graph goes with the batch
            if leaf is not None:
                features.register_hook(lambda gradient: gradient + leaf.grad)
            return features
        if not features.requires_grad:
            return features
        if leaf is None:
            leaf = self._leaf = features.detach().requires_grad_()
        return leaf
