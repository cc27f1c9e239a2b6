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
from modules.models.dest import DeST
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


@pytest.fixture(scope="module")
def networks():
    @cache
    def load(task, compiled=False):
        network, file = NETWORKS[task](), rebuilt_file(task)
        assert infer_sizes(file) == network.sizes
        found = load_weights(network, file, verbose=False)
        assert not found.fresh and not found.adapted
        assert list(found.unused) == ["video_head"] * (task == "anetqa_mean")  # which that baseline never uses
        assert sum(found.loaded.values()) == len(network.state_dict()) == len(list(network.parameters()))
        if compiled:
            network.compile_encoders()
        return network.eval()

    yield load
    rebuilt_weight.cache_clear()


@pytest.fixture(scope="module")
def batch():
    given = arrays("anetqa_inputs")
    return given | {
        # [V, F, 3, 384, 384], already normalised: the first draw of the inputs' random state.
        "frames": torch.from_numpy(RandomState(0).standard_normal((2, 2, 3, 384, 384))).float(),
        "clips": given["video"],
        "clip_mask": torch.arange(given["video"].shape[1]) < given["lengths"][:, None],
    }


def qa_arrays(network, batch):
    """Everything that the published code's arrays hold, by their names."""
    mask, known = batch["question_mask"], {}
    memory = network.project_videos(network.encode_videos(batch))
    questions = Questions(batch["question_ids"], mask, mask.sum(1).tolist(), [1, 1])
    feature, _ = network.question_features(questions, memory, known=known)
    answers = network.encode_answers(batch["answer_ids"], batch["answer_mask"])
    names = {"text": "question_hidden", "frames": "frame_feature", "clips": "video_feature"}
    found = {names[name]: array for name, array in known.items()}
    return found | {"answer_feature": answers, "logits": network.score(feature, answers)}


def assert_close(find, theirs, precision):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        ours = find()
    pairs = {name: (ours[name].double(), array.double()) for name, array in theirs.items()}
    errors = {name: float((one - other).norm() / other.norm()) for name, (one, other) in pairs.items()}
    assert max(errors.values()) < TOLERANCES[precision], errors


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize(
    "name", ["anetqa", "anetqa_mean", "anetqa quirks", pytest.param("anetqa compiled", marks=pytest.mark.slow)]
)
def test_question_answering(networks, batch, monkeypatch, name, precision):
    task, _, way = name.partition(" ")
    network, suffix = networks(task, way == "compiled"), "_published" if way == "quirks" else ""
    monkeypatch.setattr(network, "published_quirks", way == "quirks")
    expected = arrays(f"{task}_expected").items()
    theirs = {own.removesuffix(suffix): array for own, array in expected if ("_published" in own) == bool(suffix)}
    assert_close(lambda: qa_arrays(network, batch), theirs, precision)


def test_several_questions_per_video_in_any_order(networks, batch, monkeypatch):
    """At inference, in chunks, and in the pass of training, where the stacks train and their dropout does not."""
    qa, order = networks("anetqa"), torch.tensor([1, 0, 1, 0, 0])
    given = batch | {name: batch[name][order] for name in ("question_ids", "question_mask")} | {"video_index": order}
    with torch.no_grad():
        found = {"memory": qa.project_videos(qa.encode_videos(batch))}
        passes = [qa(given | found, questions_at_once=at_once) for at_once in (None, 8, 3, 1)]
    for stack in (qa.text_encoder.encoder, qa.temporal_encoder.encoder):
        monkeypatch.setattr(stack, "training", True)
    trained = qa(given)
    assert trained.requires_grad
    passes.append(trained.detach())
    theirs = arrays("anetqa_expected")["logits"][order]
    assert_close(lambda: dict(enumerate(passes)), dict(enumerate([theirs] * 5)), "float32")


@pytest.mark.parametrize("precision", TOLERANCES)
def test_temporal_referring(networks, precision):
    network, logged, given, theirs = networks("trm"), {}, arrays("trm_inputs"), arrays("trm_expected")
    lengths = given["clip_lengths"]  # [Q, clips of a question]
    mask = torch.arange(given["video"].shape[1]) < lengths.sum(1)[:, None]
    index = torch.full(mask.shape, lengths.numel())
    index[mask] = torch.arange(lengths.numel()).repeat_interleave(lengths.flatten())
    questions = Questions(given["question_ids"], given["question_mask"], [], [1, 1])
    batch = given | {"clips": given["video"], "clip_mask": mask, "clip_index": index, "questions": questions}
    batch["clip_lengths"] = lengths.flatten()
    task = TemporalReferring(network, OptimizerSettings()).eval()
    task.log = lambda name, value, **_: logged.__setitem__(name, value)

    def find():
        videos = network.encode_videos(batch)
        states = torch.where(videos.clip_mask[..., None], videos.clip_states, 0)  # padding means nothing
        theirs["video_hidden"][~videos.clip_mask] = 0
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
