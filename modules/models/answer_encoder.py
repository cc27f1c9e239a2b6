"""Answers (and the captions that TRM offers as choices) to vectors: DistilBERT and a two-layer head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from datasets.errors import InputError

from .distilbert import DistilBert
from .precision import float32_in_evaluation
from .transfer import inverse, send_numbers

# What a call costs a GPU beside its work, in tokens that it could have computed meanwhile: some 200 kernels, to be
# launched at 5 µs each, at a million or two of tokens per second.
_TOKENS_OF_A_CALL = 1500


def group_by_length(lengths: Sequence[int], rows_at_once: int, spared: int = 0) -> list[tuple[int, int]]:
    """Groups of texts that are sorted by length: (start, stop) of each.

    A new one begins when the padding of the rows so far would reach a quarter of what they are, and `spared` tokens.

    Args:
        lengths: tokens of each text, ascending.
        rows_at_once: the most texts of a group.
        spared: padding that costs less than a group of its own.
    """
    groups: list[tuple[int, int]] = []
    start = total = 0
    for row, length in enumerate(lengths):
        padding = length * (row - start) - total
        if row > start and (row - start >= rows_at_once or (4 * length > 5 * lengths[start] and padding > spared)):
            groups.append((start, row))
            start, total = row, 0
        total += length
    return [*groups, (start, len(lengths))]


class DenseReLU(nn.Module):
    """A linear layer and its ReLU, under the name that the published checkpoints give it."""

    def __init__(self, width: int):
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.dense(x))


class AnswerEncoder(nn.Module):
    """CLS of DistilBERT -> Linear -> ReLU -> Linear."""

    def __init__(self, lm: DistilBert, width: int, out_width: int):
        super().__init__()
        self.lm = lm
        self.pooler = nn.Sequential(DenseReLU(width), nn.Linear(width, out_width))

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """``[A, L]`` token ids and mask (1 = a token; None: nothing but tokens) -> ``[A, out_width]``.

        Float32 in evaluation, even under autocast: answers are encoded once per run there.
        """
        with float32_in_evaluation(self, ids.device):
            return self.pooler(self.lm(ids, None if mask is None else mask.bool())[:, 0])

    def start_from(self, name: str) -> None:
        """Takes DistilBERT's published weights: the start of `lm` where no checkpoint brings any.

        Args:
            name: of a model on the hub (``distilbert-base-uncased``), or a local folder in its format.

        Raises:
            InputError: it cannot be had, or has other sizes.
        """
        from transformers import DistilBertModel  # slow to import, and of use to a first training alone

        try:
            published = DistilBertModel.from_pretrained(name)
        except (OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise InputError(
                f"answer_encoder={name!r} cannot be loaded ({reason}); give the folder of a downloaded DistilBERT, "
                "a load_path that holds ans_encoder.*, or answer_encoder='' for a random start"
            ) from None
        try:
            self.lm.load_state_dict(published.state_dict())
        except RuntimeError as error:
            first = str(error).strip().split("\n")[1].strip()
            raise InputError(f"answer_encoder={name!r} does not fit answer_config: {first}") from None

    def encode_by_length(self, ids: Tensor, mask: Tensor, lengths: Sequence[int], rows_at_once: int = 512) -> Tensor:
        """`forward`, with texts of about the same length together, so that little is spent on padding.

        Most answers are one or two words; the longest of 1,654 would make all of them long.

        Args:
            ids, mask: ``[A, L]``.
            lengths: number of tokens of each text, on the host, so that a GPU is not waited for.
            rows_at_once: the most texts in one call that keeps no activations for a backward pass.
        """
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        most = len(order) if torch.is_grad_enabled() and ids.device.type != "cpu" else rows_at_once
        spared = _TOKENS_OF_A_CALL if ids.device.type != "cpu" else 0
        groups = group_by_length([lengths[row] for row in order], most, spared)
        rows = send_numbers([order, inverse(order)], ids.device)
        ids, mask = ids[rows[0]], mask[rows[0]]
        features = []
        for start, stop in groups:
            shortest, longest = lengths[order[start]], lengths[order[stop - 1]]
            own_mask = None if shortest == longest else mask[start:stop, :longest]
            features.append(self(ids[start:stop, :longest], own_mask))
        return torch.cat(features)[rows[1]]
