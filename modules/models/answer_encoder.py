"""Answers (and the captions that TRM offers as choices) to vectors: DistilBERT and a two-layer head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

from datasets.errors import InputError

from .precision import float32_in_evaluation


class DenseReLU(nn.Module):
    """A linear layer and its ReLU, under the name that the published checkpoints give it."""

    def __init__(self, width: int):
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.dense(x))


class AnswerEncoder(nn.Module):
    """CLS of DistilBERT -> Linear -> ReLU -> Linear."""

    def __init__(self, config: DistilBertConfig, out_width: int):
        super().__init__()
        self.lm = DistilBertModel(config)
        self.pooler = nn.Sequential(DenseReLU(config.dim), nn.Linear(config.dim, out_width))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """``[A, L]`` token ids and mask (1 = a token) -> ``[A, out_width]``.

        Float32 in evaluation, even under autocast: answers are encoded once a run there.
        """
        with float32_in_evaluation(self, ids.device):
            return self.pooler(self.lm(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])

    def start_from(self, name: str) -> None:
        """Takes DistilBERT's published weights: the start of `lm` where no checkpoint brings any.

        Args:
            name: of a model on the hub (``distilbert-base-uncased``), or a local folder in its format.

        Raises:
            InputError: it cannot be had, or has other sizes.
        """
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
            rows_at_once: the most texts in one call.
        """
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        groups: list[list[int]] = []
        for row in order:
            # A new group when the padding of the rows so far would reach a quarter of what they are.
            if not groups or len(groups[-1]) >= rows_at_once or 4 * lengths[row] > 5 * lengths[groups[-1][0]]:
                groups.append([])
            groups[-1].append(row)
        features = [self(ids[group, : lengths[group[-1]]], mask[group, : lengths[group[-1]]]) for group in groups]
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(features)[back.to(ids.device)]
