"""The published checkpoints give their published answers: every array within 1e-5, at the published size."""

import itertools
import json
import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import RandomState

from datamodules.batch import Questions
from modules.checkpoints.loading import load_weights
from modules.checkpoints.metadata import infer_sizes
from modules.checkpoints.reader import CheckpointFile
from modules.checkpoints.video_swin import load_video_swin
from modules.models.dest import DeST, VideoStates
from modules.models.referring import ReferringDeST, mean_of_clips
from modules.models.settings import ModelSizes
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import TemporalReferring
from tests.kit.paths import FIXTURES

TOLERANCES = {"float32": 1e-5, "bfloat16": 2e-2}
NETWORKS = {
    "anetqa": lambda: DeST(ModelSizes()),
    "anetqa_mean": lambda: DeST(ModelSizes(), temporal=False),
    "trm": lambda: ReferringDeST(ModelSizes(head_width=384)),
}


@cache
def published_keys(task: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape, of all floating-point weights of a published checkpoint."""
    keys = {}
    for pattern, shape in json.loads((FIXTURES / "parity" / "keys.json").read_text())[task].items():
        start, *parts = re.split(r"\{(\d+)\.\.(\d+)\}", pattern)
        ranges = [range(int(first), int(last) + 1) for first, last in zip(parts[::3], parts[1::3], strict=True)]
        for numbers in itertools.product(*ranges):
            name = start + "".join(f"{number}{text}" for number, text in zip(numbers, parts[2::3], strict=True))
            keys[name] = tuple(shape)
    return keys


@cache
def rebuilt_weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight that the published code was run with: drawn from the name."""
    draw = RandomState(zlib.crc32(name.encode())).standard_normal(shape or 1)
    weight = torch.from_numpy(draw.astype(np.float32).reshape(shape))
    if name == "tau":
        return torch.full(shape, 0.07)
    return 1 + 0.1 * weight if re.search(r"(LayerNorm\.|layer_norm\.|ln\.|\.norm.*)weight$", name) else 0.04 * weight


def rebuilt_file(task: str) -> CheckpointFile:
    """A published checkpoint with rebuilt weights, as `read_checkpoint` would return it."""
    weights = {name: rebuilt_weight(name, shape) for name, shape in published_keys(task).items()}
    return CheckpointFile(Path(f"{task}.ckpt"), "zip", "state_dict", weights)


def arrays(name: str) -> dict[str, torch.Tensor]:
    with np.load(FIXTURES / "parity" / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


@pytest.fixture(scope="module")
def networks():
    @cache
    def load(task, compiled=False):
        network = NETWORKS[task]()
        assert not load_weights(network, rebuilt_file(task), verbose=False).fresh
        if compiled:
            network.compile_encoders()
        return network.eval()

    yield load
    rebuilt_weight.cache_clear()


@pytest.fixture(scope="module")
def batch():
    given = arrays("anetqa_inputs")
    names = ("question_ids", "question_mask", "answer_ids", "answer_mask")
    return {
        # [V, F, 3, 384, 384], already normalised: the first draw of the inputs' random state.
        "frames": torch.from_numpy(RandomState(0).standard_normal((2, 2, 3, 384, 384))).float(),
        "clips": given["video"],
        "clip_mask": torch.arange(given["video"].shape[1]) < given["lengths"][:, None],
        **{name: given[name] for name in names},
    }


@pytest.fixture(scope="module")
def image_tokens(networks, batch):
    """[V, F, 577, 768]: the same for every network here, as the image encoder is frozen."""
    with torch.no_grad():
        return networks("anetqa").encode_frames(batch["frames"])


def encoded(network, batch, image_tokens):
    states = VideoStates(network.encode_frames(batch["frames"]) if image_tokens is None else image_tokens)
    if network.temporal:
        states.clip_states, states.clip_mask = network.encode_clips(batch["clips"], batch["clip_mask"])
    return network.project_videos(states)


def qa_arrays(network, batch, image_tokens):
    """Everything that the published code's arrays hold, by their names."""
    memory, mask = encoded(network, batch, image_tokens), batch["question_mask"]
    questions = Questions(batch["question_ids"], mask, mask.sum(1).tolist(), [1, 1])
    hidden = network.encode_questions(questions.ids, questions.mask)
    found = {
        "question_hidden": hidden,
        "frame_feature": network.frame_features(hidden, questions, memory)[0],
        "answer_feature": network.encode_answers(batch["answer_ids"], batch["answer_mask"]),
    }
    feature = found["frame_feature"]
    if network.temporal:
        found["video_feature"] = network.video_features(hidden, questions, memory)[0]
        feature = feature + found["video_feature"]
    return {**found, "logits": network.score(feature, found["answer_feature"])}


def assert_close(find, theirs, precision):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        ours = find()
    errors = {name: relative_error(ours[name], theirs[name]) for name in theirs}
    assert max(errors.values()) < TOLERANCES[precision], errors


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize(
    ("task", "way"),
    [
        ("anetqa", ""),
        ("anetqa_mean", ""),
        ("anetqa", "quirks"),
        pytest.param("anetqa", "compiled", marks=pytest.mark.slow),
    ],
)
def test_question_answering(networks, batch, image_tokens, monkeypatch, task, way, precision):
    network, suffix = networks(task, way == "compiled"), "_published" * (way == "quirks")
    monkeypatch.setattr(network, "published_quirks", way == "quirks")
    expected = arrays(f"{task}_expected").items()
    theirs = {
        name.removesuffix(suffix): array for name, array in expected if name.endswith("_published") == bool(suffix)
    }
    tokens = None if way == "compiled" or precision == "bfloat16" else image_tokens
    assert_close(lambda: qa_arrays(network, batch, tokens), theirs, precision)


def test_several_questions_per_video_in_any_order(networks, batch, image_tokens, monkeypatch):
    """At inference, in chunks, and in the pass of training, where the stacks train and their dropout does not."""
    qa, order = networks("anetqa"), torch.tensor([1, 0, 1, 0, 0])
    theirs = arrays("anetqa_expected")["logits"][order]
    given = {**batch, "video_index": order}
    given |= {name: batch[name][order] for name in ("question_ids", "question_mask")}
    with torch.no_grad():
        found = {"memory": encoded(qa, batch, image_tokens)}
        passes = [qa(given | found, questions_at_once=at_once) for at_once in (None, 8, 3, 1)]
    for stack in (qa.text_encoder.encoder, qa.temporal_encoder.encoder):
        monkeypatch.setattr(stack, "training", True)
    passes.append(qa(given))
    assert passes[-1].requires_grad
    assert max(relative_error(ours.detach(), theirs) for ours in passes) < TOLERANCES["float32"]


@pytest.mark.parametrize("precision", TOLERANCES)
def test_temporal_referring(networks, precision):
    network, logged, given, theirs = networks("trm"), {}, arrays("trm_inputs"), arrays("trm_expected")
    lengths = given["clip_lengths"]  # [Q, clips of a question]
    mask = torch.arange(given["video"].shape[1]) < lengths.sum(1)[:, None]
    index = torch.full(mask.shape, lengths.numel())
    index[mask] = torch.arange(lengths.numel()).repeat_interleave(lengths.flatten())
    questions = Questions(given["question_ids"], given["question_mask"], [], [1, 1])
    batch = {"clips": given["video"], "clip_mask": mask, "clip_index": index, "questions": questions}
    batch = given | batch | {"clip_lengths": lengths.flatten()}
    task = TemporalReferring(network, OptimizerSettings()).eval()
    task.log = lambda name, value, **_: logged.__setitem__(name, value)

    def find():
        videos = network.encode_videos(batch)
        states = torch.where(videos.clip_mask[..., None], videos.clip_states, 0)
        theirs["video_hidden"][~videos.clip_mask] = 0  # padding means nothing
        return {
            "loss": task.training_step(batch, 0),
            "trm_loss": logged["train/trm_loss"],
            "align_loss": logged["train/align_loss"],
            "video_hidden": states,
            "video_feature": network.question_features(questions, network.project_videos(videos))[0],
            "clip_feature": mean_of_clips(states[:, 1:-1], index, batch["clip_lengths"]),
            "caption_feature": network.encode_questions(batch["caption_ids"], batch["caption_mask"])[:, 0],
            "logits": network.refer(batch).logits,
        }

    theirs["loss"] = theirs["trm_loss"] + theirs["align_loss"]
    assert_close(find, theirs, precision)


def test_video_swin():
    expected = arrays("video_swin_expected")
    network = load_video_swin(rebuilt_file("video_swin"), "base").eval()
    clips = torch.from_numpy(RandomState(0).standard_normal(tuple(expected["shape"].tolist()))).float()
    assert_close(lambda: {"feature": network(clips)}, {"feature": expected["feature"]}, "float32")


@pytest.mark.parametrize("task", NETWORKS)
def test_every_published_weight_has_one_place_and_every_place_a_weight(task):
    with torch.device("meta"):
        network = NETWORKS[task]()
    ours = {name: tuple(parameter.shape) for name, parameter in network.state_dict().items()}
    theirs = published_keys(task).items()
    if task == "anetqa_mean":  # a head that the published baseline holds and never uses
        theirs = [(name, shape) for name, shape in theirs if not name.startswith("video_head.")]
    assert ours == dict(theirs)
    assert set(ours) == {name for name, _ in network.named_parameters()}
    assert infer_sizes(rebuilt_file(task)) == network.sizes
