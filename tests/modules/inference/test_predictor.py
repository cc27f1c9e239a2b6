"""A video file is answered as the same video of a dataset; what goes wrong is said in a line."""

import csv
import json
import re
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from config import run_command_line
from datasets.errors import InputError
from modules.inference.predictor import Predictor
from modules.objectives.open_ended_qa import OpenEndedQA
from tests.datasets.video.video_files import make_video
from tests.kit.toy_world import toy_settings

from .conftest import QUESTION


def ask(predictor, toy_video, **options):
    (answer,) = predictor.answer(predictor.encode_video(toy_video), [QUESTION], **options)
    return answer


def test_answers_and_scores_are_those_of_test_only(toy_world, toy_checkpoint, predictor, tmp_path, monkeypatch):
    logits, answered, score = {}, set(), OpenEndedQA.score

    def kept(module, batch):
        found = score(module, batch)
        logits.update(zip(batch["qids"], found, strict=True))
        return found

    monkeypatch.setattr(OpenEndedQA, "score", kept)
    assert run_command_line([*toy_settings(toy_world, tmp_path), "test_only=True", f"load_path={toy_checkpoint}"]) == 0
    records = {record["qid"]: record for record in json.loads(min(tmp_path.glob("*.json")).read_text())}
    with (toy_world / "data/anetqa/test.csv").open(newline="") as file:
        questions = list(csv.DictReader(file))
    for video in {row["video_id"] for row in questions}:
        own = [row for row in questions if row["video_id"] == video]
        encoded = predictor.encode_video(toy_world / f"raw/anetqa/videos/v_{video}.mp4")
        for row, answer in zip(own, predictor.answer(encoded, [row["question"] for row in own]), strict=True):
            assert answer.best == records[row["qid"]]["answer10"]
            torch.testing.assert_close(answer.logits, logits[row["qid"]], rtol=1e-5, atol=1e-5)
            assert answer.probabilities == sorted(answer.probabilities, reverse=True)
            answered.add((*answer.best,))
    assert len(answered) > 2  # not one answer to all


def test_many_questions_are_asked_a_few_at_a_time(predictor, video, monkeypatch):
    texts = QUESTION, "what", "where does it happen", "what is below the sign", "what " * 600
    together, asked = predictor.answer(video, texts), Mock(wraps=predictor.network.question_features)
    monkeypatch.setattr(predictor.network, "question_features", asked)
    monkeypatch.setattr(predictor, "questions_at_once", 2)
    for one, other in zip(together, predictor.answer(video, texts), strict=True):
        assert (one.question, one.best) == (other.question, other.best)
        torch.testing.assert_close(one.logits, other.logits, rtol=1e-4, atol=1e-5)
    shapes = [call.args[0].ids.shape for call in asked.call_args_list]
    assert [number for number, _ in shapes] == [2, 2, 1] and shapes == sorted(shapes, key=lambda shape: shape[1])


def test_baseline_without_temporal_stream(toy_world, tmp_path, toy_video):
    run = toy_settings(toy_world, tmp_path, "task_finetune_anetqa_mean")
    assert run_command_line([*run, "exp_name=mean", "max_steps=1", "max_epoch=None", "warmup_steps=0"]) == 0
    predictor = Predictor.open(tmp_path / "mean_seed0/version_0/checkpoints/last.ckpt")
    assert ask(predictor, toy_video, with_maps=True).maps.clips is None
    assert predictor.extractor is None


@pytest.fixture(scope="module")
def swin(predictor, tmp_path_factory):
    path = tmp_path_factory.mktemp("swin") / "swin.pth"
    torch.save(predictor.extractor.model.state_dict(), path)
    return path


def test_weights_alone(toy_world, toy_checkpoint, swin, toy_video, predictor, expected, tmp_path):
    """A published checkpoint, and features of a Video Swin checkpoint of known architecture."""
    weights, data = tmp_path / "weights.ckpt", {"data_root": toy_world / "data/anetqa"}
    torch.save(torch.load(toy_checkpoint, weights_only=True)["state_dict"], weights)
    with pytest.raises(InputError, match=r"weights.ckpt brings no answers: add data_root="):
        Predictor.open(weights, swin)
    data["tokenizer"] = toy_world / "raw/tokenizer"
    sizes = {"vit_config": {"vit_heads": 4}, "bert_config": {"num_heads": 4}, "answer_config": {"answer_heads": 4}}
    opened = Predictor.open(weights, swin, data | sizes | {"nframe": 4, "max_video_len": 32})
    assert (opened.clip_settings.arch, opened.clip_settings.windows.clip_len) == ("toy", 32)  # as published
    said = f"nothing in {weights} says what it was trained with; taken are nframe=4, trim=1, max_video_len=32, without"
    assert [note for note in opened.notes if note.startswith(said)] == opened.notes != []
    opened.clip_settings = predictor.clip_settings
    torch.testing.assert_close(ask(opened, toy_video).logits, expected.logits)


def test_video_swin_against_the_record_of_the_clip_features(toy_checkpoint, swin, toy_video, video, tmp_path):
    """The features of `path` are said to be of some file, those of the toy checkpoint of an untrained network."""
    content, path = torch.load(toy_checkpoint, weights_only=True), tmp_path / "x.ckpt"
    clips = content["dest"]["preprocessing"]["clips"]
    clips |= {"random_start": None, "checkpoint_sha256": "0" * 64}
    torch.save(content, path)
    opened = Predictor.open(path, swin)
    assert opened.notes[0] == f"{swin} is another file than the one that the training features were made with"
    assert np.array_equal(opened.encode_video(toy_video).seen.clips, video.seen.clips)
    for checkpoint, swin_path, said in (
        (path, None, r"need the Video Swin toy checkpoint that .* made with: add swin_path=FILE"),
        (toy_checkpoint, swin, "were made by an untrained Video Swin; drop swin_path"),
    ):
        with pytest.raises(InputError, match=said):
            Predictor.open(checkpoint, swin_path)


@pytest.fixture
def said(toy_checkpoint, toy_video, capsys):
    """Asks with changes, and returns the output; of a mistake its one line."""

    def run(*changes, code=0):
        words = ["ask", "with", f"load_path={toy_checkpoint}", f"video={toy_video}", f"question={QUESTION}"]
        assert run_command_line([*words, *changes]) == code
        output, error = capsys.readouterr()
        assert error.count("\n") == (code and 1)
        return error or output

    return run


def test_several_questions(said, tmp_path):
    (tmp_path / "questions.txt").write_text("what is below the sign\n\nwhat color is the sign\n")
    words = f"question=['{QUESTION}','what is [/b] it']", f"question_file={tmp_path / 'questions.txt'}"
    output = said(*words, f"save={tmp_path / 'p[/b]q:x:.png'}")
    asked = [QUESTION, "what is [/b] it", "what is below the sign", "what color is the sign"]
    places = [output.index(question) for question in asked]
    assert places == sorted(places) and output.count(" % \n") == 40  # ten answers each
    assert "never trained" in output
    for stage in ("loading", "frames", "clip features", "video", "answers", "questions", "in all"):
        assert stage in output.splitlines()[-1]
    for number in range(1, 5):
        assert (tmp_path / f"p[/b]q:x:_{number}.png").exists() and f"p[/b]q:x:_{number}.png" in output


def test_answers_of_my_own(said, toy_checkpoint, toy_video, tmp_path, predictor, expected):
    """Scored as those of the vocabulary are, whatever the network was trained on."""
    (tmp_path / "answers.txt").write_text("a purple heart\n\n red diamond \n")
    output = said("not_sure_below=1", "answers=['red diamond','7']", f"answer_file={tmp_path / 'answers.txt'}")
    assert "note: scored are 3 answers of your own; " in output
    assert output.count(" % \n") == 4  # above them what it is not sure of
    assert re.search(r"not sure +< 100 %", output)
    own = ask(Predictor.open(toy_checkpoint, settings={"answers": ["a purple heart", "red diamond"]}), toy_video)
    place = predictor.vocabulary.index("red diamond")
    torch.testing.assert_close(own.logits[1], expected.logits[place], rtol=1e-5, atol=1e-5)


def test_mistakes_and_damage(said, toy_checkpoint, tmp_path):
    content = torch.load(toy_checkpoint, weights_only=True)
    for name in [name for name in content["state_dict"] if name.startswith("frame_head")]:
        del content["state_dict"][name]
    torch.save(content, tmp_path / "trm.ckpt")
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    (tmp_path / "empty.txt").write_bytes(b"\n \n")
    for change, message in (
        ("video=nowhere.mp4", "video='nowhere.mp4' does not exist"),
        (f"video={tmp_path}/noise.mp4", "noise.mp4 is no video that can be used: "),
        (f"question_file={tmp_path}/empty.txt", "holds no question; write one per line"),
        (f"load_path={tmp_path}/trm.ckpt", "trm.ckpt is a TRM checkpoint (pre-training) and knows no answers: fine-tu"),
        ("save=out.txt", "save='out.txt': the name of a picture ends in .png, .pdf or .svg"),
    ):
        assert message in said(change, code=2)
    path = make_video(tmp_path / "clip.mp4", 50, options=("-pix_fmt", "yuv420p", "-movflags", "+faststart"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "is damaged" in " ".join(said(f"video={path}").split())


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), InputError, "the GPU's memory is full; {}set accelerator=cpu,"),
        (MemoryError(), InputError, "the machine's memory is full; {}free some of it$"),
        (RuntimeError("a mistake"), RuntimeError, "a mistake"),
    ],
)
def test_full_memory(toy_checkpoint, predictor, toy_video, monkeypatch, error, kind, message):
    """One line that says what to lower; another error stays as it is."""

    def fail(*_args, **_kwargs):
        raise error

    lower = r"lower nframe \(now 4\) or per_gpu_batchsize \(now \d+\), or set precision=bf16, or "
    for method in ("encode_videos", "question_features"):
        with monkeypatch.context() as patch, pytest.raises(kind, match=message.format(lower)):
            patch.setattr(predictor.network, method, fail)
            predictor.answer(predictor.encode_video(toy_video), ["what"])
    monkeypatch.setattr("modules.checkpoints.network.load_weights", fail)
    with pytest.raises(kind, match=message.format("")):
        Predictor.open(toy_checkpoint)
