"""The published checkpoints give their published answers: every array within 1e-5, at the published size."""

import pytest
import torch
from numpy.random import RandomState
from torch.nn import functional as F

from datamodules.batch import Questions
from modules.checkpoints.loading import load_weights
from modules.checkpoints.metadata import infer_sizes
from modules.checkpoints.video_swin import from_published
from modules.models.dest import DeST, VideoStates
from modules.models.referring import ReferringDeST, mean_of_clips
from modules.models.settings import ModelSizes
from modules.models.video_swin import VideoSwin, VideoSwinSizes
from modules.objectives.alignment import alignment_loss

from .parity import arrays, published_keys, rebuilt_file, rebuilt_weight, relative_error

FLOAT32, BFLOAT16 = 1e-5, 2e-2


@pytest.fixture(scope="module", autouse=True)
def forget_weights():
    yield
    rebuilt_weight.cache_clear()


@pytest.fixture(scope="module")
def frames():
    """[V, F, 3, 384, 384], already normalised: the first draw of the inputs' random state."""
    return torch.from_numpy(RandomState(0).standard_normal((2, 2, 3, 384, 384))).float()


@pytest.fixture(scope="module")
def batch(frames):
    given = arrays("anetqa_inputs")
    return {
        "frames": frames,
        "clips": given["video"],
        "clip_mask": torch.arange(given["video"].shape[1]) < given["lengths"][:, None],
        "video_index": torch.arange(2),
        **{name: given[name] for name in ("question_ids", "question_mask", "answer_ids", "answer_mask")},
    }


def load(network, task):
    summary = load_weights(network, rebuilt_file(task), verbose=False)
    assert not summary.fresh
    return network.eval()


@pytest.fixture(scope="module")
def qa():
    return load(DeST(ModelSizes()), "anetqa")


@pytest.fixture(scope="module")
def image_tokens(qa, frames):
    """[V, F, 577, 768]: the same for every network here, as the image encoder is frozen."""
    with torch.inference_mode():
        return qa.encode_frames(frames)


@pytest.fixture(scope="module")
def mean_baseline():
    return load(DeST(ModelSizes(), temporal=False), "anetqa_mean")


@pytest.fixture(scope="module")
def trm():
    return load(ReferringDeST(ModelSizes(head_width=384)), "trm")


def qa_arrays(network, batch, image_tokens=None):
    """Everything that the published code's arrays hold, by their names."""
    with torch.inference_mode():
        states = VideoStates(network.encode_frames(batch["frames"]) if image_tokens is None else image_tokens)
        if network.temporal:
            states.clip_states, states.clip_mask = network.encode_clips(batch["clips"], batch["clip_mask"])
        memory = network.project_videos(states)
        questions = several_about_each(batch, [0, 1])["questions"]
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


def assert_close(ours, theirs, tolerance):
    errors = {name: relative_error(ours[name], theirs[name]) for name in theirs}
    assert max(errors.values()) < tolerance, errors


def test_anetqa(qa, batch, image_tokens):
    expected = arrays("anetqa_expected")
    theirs = {name: array for name, array in expected.items() if not name.endswith("_published")}
    assert_close(qa_arrays(qa, batch, image_tokens), theirs, FLOAT32)


def test_anetqa_with_published_quirks(qa, batch, image_tokens):
    expected = arrays("anetqa_expected")
    theirs = {name.removesuffix("_published"): array for name, array in expected.items() if "_published" in name}
    qa.published_quirks = True
    try:
        assert_close(qa_arrays(qa, batch, image_tokens), theirs, FLOAT32)
    finally:
        qa.published_quirks = False


def test_anetqa_in_bf16(qa, batch):
    theirs = {name: array for name, array in arrays("anetqa_expected").items() if not name.endswith("_published")}
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(qa_arrays(qa, batch), theirs, BFLOAT16)


def test_questions_of_one_video_in_any_order(qa, batch):
    """The same questions, several about each video and out of order, get the same answers."""
    theirs = arrays("anetqa_expected")["logits"]
    order = torch.tensor([1, 0, 1, 0, 0])
    shuffled = {**batch, "video_index": order}
    shuffled |= {name: batch[name][order] for name in ("question_ids", "question_mask")}
    with torch.inference_mode():
        assert relative_error(qa(shuffled), theirs[order]) < FLOAT32


def several_about_each(batch, order):
    """Questions `order`, sorted by video, as a data module hands them over."""
    rows = torch.tensor(order)
    ids, mask = (batch[name][rows] for name in ("question_ids", "question_mask"))
    per_video = torch.bincount(rows, minlength=2).tolist()
    return {**batch, "questions": Questions(ids, mask, mask.sum(1).tolist(), per_video)}


@pytest.mark.parametrize("questions_at_once", [8, 3, 1])
def test_inference_in_chunks(qa, batch, questions_at_once):
    order = [0, 0, 0, 1, 1]
    theirs = arrays("anetqa_expected")["logits"][order]
    with torch.inference_mode():
        ours = qa(several_about_each(batch, order), questions_at_once=questions_at_once)
    assert relative_error(ours, theirs) < FLOAT32


def test_the_pass_of_training(qa, batch):
    """With gradients, several questions per video. The stacks train, their dropout does not."""
    order = [0, 0, 1]
    given = several_about_each(batch, order)
    stacks = (qa.text_encoder.encoder, qa.temporal_encoder.encoder)
    try:
        for stack in stacks:
            stack.training = True
        ours = qa(given)
    finally:
        for stack in stacks:
            stack.training = False
    assert ours.requires_grad
    assert relative_error(ours.detach(), arrays("anetqa_expected")["logits"][order]) < FLOAT32


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
def test_compiled(batch, precision, tolerance):
    network = load(DeST(ModelSizes()), "anetqa")
    network.compile_encoders()
    theirs = {name: array for name, array in arrays("anetqa_expected").items() if not name.endswith("_published")}
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        assert_close(qa_arrays(network, batch), theirs, tolerance)


def test_anetqa_mean(mean_baseline, batch, image_tokens):
    assert_close(qa_arrays(mean_baseline, batch, image_tokens), arrays("anetqa_mean_expected"), FLOAT32)


def test_anetqa_mean_in_bf16(mean_baseline, batch):
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(qa_arrays(mean_baseline, batch), arrays("anetqa_mean_expected"), BFLOAT16)


def trm_arrays(network):
    given = arrays("trm_inputs")
    lengths = given["clip_lengths"]  # [Q, clips of a question]
    num_questions, num_states = given["video"].shape[:2]
    clip_mask = torch.arange(num_states) < lengths.sum(1)[:, None]
    index = torch.full((num_questions, num_states), lengths.numel())
    index[clip_mask] = torch.arange(lengths.numel()).repeat_interleave(lengths.flatten())
    batch = {"clips": given["video"], "clip_mask": clip_mask, "clip_index": index, "clip_lengths": lengths.flatten()}
    batch |= {name: given[name] for name in ("choice_ids", "choice_mask", "caption_ids", "caption_mask")}
    questions = batch["questions"] = Questions(given["question_ids"], given["question_mask"], [], [1, 1])
    with torch.inference_mode():
        videos = network.encode_videos(batch)
        found = network.refer(batch)
        mask = videos.clip_mask
        states = torch.where(mask[..., None], videos.clip_states, 0)
        return {
            "video_hidden": states,
            "video_feature": network.question_features(questions, network.project_videos(videos))[0],
            "clip_feature": mean_of_clips(states[:, 1:-1], index, batch["clip_lengths"]),
            "caption_feature": network.encode_questions(batch["caption_ids"], batch["caption_mask"])[:, 0],
            "logits": found.logits,
            "trm_loss": F.cross_entropy(found.logits, given["labels"]),
            "align_loss": alignment_loss(found.clips, found.captions, network.tau),
        }, mask


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
def test_trm(trm, precision, tolerance):
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        ours, mask = trm_arrays(trm)
    theirs = arrays("trm_expected")
    theirs["video_hidden"] = torch.where(mask[..., None], theirs["video_hidden"], 0)  # padding means nothing
    assert_close(ours, theirs, tolerance)


def test_video_swin():
    expected = arrays("video_swin_expected")
    network = VideoSwin(VideoSwinSizes())
    missing, unexpected = network.load_state_dict(from_published(rebuilt_file("video_swin").tensors), strict=False)
    assert all(name.endswith("relative_position_index") for name in missing)
    assert unexpected == []
    clips = torch.from_numpy(RandomState(0).standard_normal(tuple(expected["shape"].tolist()))).float()
    with torch.inference_mode():
        assert relative_error(network.eval()(clips), expected["feature"]) < FLOAT32


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["anetqa", "anetqa_mean", "trm"])
def test_every_published_weight_has_one_place_and_every_place_a_weight(task):
    with torch.device("meta"):
        network = {
            "anetqa": lambda: DeST(ModelSizes()),
            "anetqa_mean": lambda: DeST(ModelSizes(), temporal=False),
            "trm": lambda: ReferringDeST(ModelSizes(head_width=384)),
        }[task]()
    ours = {name: tuple(parameter.shape) for name, parameter in network.state_dict().items()}
    theirs = dict(published_keys(task))
    if task == "anetqa_mean":  # a head that the published baseline holds and never uses
        theirs = {name: shape for name, shape in theirs.items() if not name.startswith("video_head.")}
    assert ours == theirs
    assert set(ours) == {name for name, _ in network.named_parameters()}


@pytest.mark.parametrize("task", ["anetqa", "anetqa_mean", "trm"])
def test_sizes_are_found_in_the_weights(task):
    expected = ModelSizes(head_width=384) if task == "trm" else ModelSizes()
    assert infer_sizes(rebuilt_file(task)) == expected
