"""The toy checkpoint, opened once, and a video of its test split."""

import pytest

from modules.inference.predictor import Predictor

QUESTION = "what acted at the end"


@pytest.fixture(scope="package")
def predictor(toy_checkpoint) -> Predictor:
    return Predictor.open(toy_checkpoint)


@pytest.fixture(scope="package")
def video(predictor, toy_video):
    return predictor.encode_video(toy_video)


@pytest.fixture(scope="package")
def expected(predictor, video):
    """The answer to QUESTION, with its maps."""
    (answer,) = predictor.answer(video, [QUESTION], with_maps=True)
    return answer
