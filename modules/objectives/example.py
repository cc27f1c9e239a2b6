"""A validation question with the model's best answers, to look at in a log."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

GUESSES = 3  # best answers shown of each


@dataclass(frozen=True)
class Example:
    """A question of the validation split, and what the model says.

    Attributes:
        question, answer: its text and the true answer.
        guesses: the best answers with their probabilities, the best first.
        frames: uint8 [F, 3, S, S], RGB, on any device; None where the model sees none.
    """

    question: str
    answer: str
    guesses: list[tuple[str, float]]
    frames: Tensor | None = None

    def caption(self) -> str:
        """Caption of four lines or so, the right answers marked."""
        marks = [f"{'>' if text == self.answer else ' '} {100 * share:4.1f} %  {text}" for text, share in self.guesses]
        return "\n".join([self.question, f"true answer: {self.answer}", *marks])


def best_guesses(logits: Tensor, texts: Sequence[str]) -> list[tuple[str, float]]:
    """The best of some answers or choices with their probabilities: logits ``[A]`` and A texts."""
    best = logits.softmax(0).topk(min(GUESSES, len(texts)))
    return [(texts[index], share) for index, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
