"""A video file is answered as the same video of a dataset; what goes wrong is said in a line."""

import csv
import json
import re

import h5py
import numpy as np
import pytest
import torch

from config import run_command_line
from datasets.errors import InputError
from datasets.files import read_list
from datasets.frames import FrameReader
from modules.inference.predictor import Predictor
from modules.objectives.open_ended_qa import OpenEndedQA
from tests.datasets.video.video_files import make_video
from tests.kit.toy_world import toy_settings


@pytest.fixture(scope="module")
def predictor(toy_checkpoint) -> Predictor:
    return Predictor.open(toy_checkpoint)


@pytest.fixture(scope="module")
def tested(toy_world, toy_checkpoint, tmp_path_factory):
    """What ``test_only=True`` predicts for the test split, and qid -> its logits."""
    folder, logits = tmp_path_factory.mktemp("tested"), {}
    original = OpenEndedQA.score

    def score(module, batch):
        found = original(module, batch)
        logits.update(zip(batch["qids"], found, strict=True))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenEndedQA, "score", score)
        run = toy_settings(toy_world, folder)
        assert run_command_line([*run, "test_only=True", f"load_path={toy_checkpoint}"]) == 0
    path, _ = sorted(folder.glob("*.json"))
    return {record["qid"]: record for record in json.loads(path.read_text())}, logits


class TestSameAsTheDataSet:
    def test_answers_and_scores(self, toy_world, predictor, tested):
        records, logits = tested
        with (toy_world / "data" / "anetqa" / "test.csv").open(newline="") as file:
            questions = list(csv.DictReader(file))
        videos = {row["video_id"] for row in questions}
        answered = set()
        for video in videos:
            own = [row for row in questions if row["video_id"] == video]
            encoded = predictor.encode_video(toy_world / "raw" / "anetqa" / "videos" / f"v_{video}.mp4")
            for row, answer in zip(own, predictor.answer(encoded, [row["question"] for row in own]), strict=True):
                assert answer.best == records[row["qid"]]["answer10"]
                torch.testing.assert_close(answer.logits, logits[row["qid"]], rtol=1e-5, atol=1e-5)
                assert answer.probabilities == sorted(answer.probabilities, reverse=True)
                answered.add((*answer.best,))
        assert len(answered) > 4  # not one answer to all

    def test_frames_and_features_to_the_bit(self, toy_world, predictor, toy_video):
        seen = predictor.encode_video(toy_video).seen
        name = toy_video.stem
        settings = predictor.video_settings
        frames = FrameReader(toy_world / "data" / "anetqa" / "frames", settings.nframe, settings.trim, 64)
        assert np.array_equal(seen.frames, frames.read(name))
        with h5py.File(toy_world / "data" / "anetqa" / "anetqa.h5", locking=False) as features:
            assert np.array_equal(seen.clips, features[name.removeprefix("v_")][()])

    def test_times(self, predictor, toy_video):
        seen = predictor.encode_video(toy_video).seen  # 48 frames, 8 per second
        assert seen.seconds == 6
        assert seen.frame_times == pytest.approx(np.array([1, 6, 10, 15]) / 3)  # of 18 at 3 per second
        assert seen.clip_spans.tolist() == [[start, start + 1] for start in range(6)]


class TestManyQuestions:
    QUESTIONS = ("what acted at the end", "what", "where does it happen", "what is below the sign", "is there a tree")

    def test_a_few_at_a_time(self, predictor, toy_video, monkeypatch):
        video = predictor.encode_video(toy_video)
        together = predictor.answer(video, self.QUESTIONS)
        asked = []
        original = predictor.network.question_features

        def question_features(questions, *rest, **known):
            asked.append(tuple(questions.ids.shape))
            return original(questions, *rest, **known)

        monkeypatch.setattr(predictor.network, "question_features", question_features)
        monkeypatch.setattr(predictor, "questions_at_once", 2)
        in_chunks = predictor.answer(video, self.QUESTIONS)
        assert [number for number, _ in asked] == [2, 2, 1]
        assert [length for _, length in asked] == sorted(length for _, length in asked)
        for one, other in zip(together, in_chunks, strict=True):
            assert (one.question, one.best) == (other.question, other.best)
            torch.testing.assert_close(one.logits, other.logits, rtol=1e-4, atol=1e-5)

    def test_as_many_as_a_run_has_at_once(self, toy_checkpoint):
        assert Predictor.open(toy_checkpoint, settings={"per_gpu_batchsize": 3}).questions_at_once == 3


def test_half_precision_with_maps(toy_checkpoint, toy_video, predictor):
    """What every question on a GPU comes to: weights in float32, the video's states not."""
    half = Predictor.open(toy_checkpoint, precision="bf16")
    video = half.encode_video(toy_video)
    assert video.memory.frames[-1][0].dtype == torch.bfloat16
    (found,) = half.answer(video, ["what acted at the end"], with_maps=True)
    (expected,) = predictor.answer(predictor.encode_video(toy_video), ["what acted at the end"], with_maps=True)
    torch.testing.assert_close(found.logits, expected.logits, rtol=0.02, atol=0.02)
    if found.best[0] == expected.best[0]:
        torch.testing.assert_close(found.maps.clips, expected.maps.clips, rtol=0.2, atol=0.02)
    assert float(found.maps.frames.sum()) == pytest.approx(1)


class TestSettings:
    def test_number_of_best_answers(self, predictor, toy_video):
        (answer,) = predictor.answer(predictor.encode_video(toy_video), ["what acted at the end"], num_best=3)
        assert len(answer.best) == len(answer.probabilities) == 3
        assert answer.maps is None
        (answer,) = predictor.answer(predictor.encode_video(toy_video), ["what acted at the end"], num_best=10_000)
        assert sorted(answer.best) == sorted(predictor.vocabulary)
        assert sum(answer.probabilities) == pytest.approx(1)

    def test_what_is_given_decides_over_the_checkpoint(self, toy_checkpoint, toy_video):
        predictor = Predictor.open(toy_checkpoint, settings={"nframe": 2, "max_video_len": 3, "max_text_len": 4})
        seen = predictor.encode_video(toy_video).seen
        assert len(seen.frames) == 2
        assert len(seen.clips) == len(seen.clip_spans) == 3
        assert predictor.encode_questions(["what acted at the end"]).ids.shape == (1, 4)

    def test_more_clips_than_positions(self, toy_checkpoint):
        with pytest.raises(InputError, match="max_video_len=40 clips are more than the network's 32 positions; lower"):
            Predictor.open(toy_checkpoint, settings={"max_video_len": 40})

    def test_a_text_longer_than_the_positions_is_cut(self, predictor, toy_video):
        predictor.answer(predictor.encode_video(toy_video), ["what " * 600])

    def test_baseline_without_temporal_stream(self, toy_world, tmp_path, toy_video):
        run = toy_settings(toy_world, tmp_path, "task_finetune_anetqa_mean")
        assert run_command_line([*run, "exp_name=mean", "max_steps=1", "max_epoch=None", "warmup_steps=0"]) == 0
        predictor = Predictor.open(tmp_path / "mean_seed0" / "version_0" / "checkpoints" / "last.ckpt")
        (answer,) = predictor.answer(predictor.encode_video(toy_video), ["what is below the sign"], with_maps=True)
        assert answer.maps.clips is None
        assert predictor.extractor is None

    def test_published_file_takes_its_words_from_the_data(
        self, toy_world, toy_checkpoint, toy_video, tmp_path, predictor
    ):
        """A checkpoint that holds weights alone, and features of a Video Swin checkpoint of known architecture."""
        path, swin = tmp_path / "weights.ckpt", tmp_path / "swin.pth"
        weights = torch.load(toy_checkpoint, weights_only=True)["state_dict"]
        torch.save(weights, path)
        torch.save(predictor.extractor.model.state_dict(), swin)
        with pytest.raises(InputError, match=r"weights.ckpt brings no answers: add data_root="):
            Predictor.open(path, swin)
        words = {"data_root": toy_world / "data" / "anetqa", "tokenizer": toy_world / "raw" / "tokenizer"}
        heads = {"vit_config": {"vit_heads": 4}, "bert_config": {"num_heads": 4}, "answer_config": {"answer_heads": 4}}
        opened = Predictor.open(path, swin, {**words, **heads, "nframe": 4, "max_video_len": 32})
        assert opened.clip_settings.arch == "toy"
        assert opened.clip_settings.windows.clip_len == 32  # as published
        assert opened.vocabulary == predictor.vocabulary
        assert opened.notes == [
            f"nothing in {path} says what it was trained with; taken are nframe=4, trim=1, max_video_len=32, without "
            "published_quirks. A published checkpoint needs its recipe: add task_finetune_anetqa published_quirks=True"
        ]
        opened.clip_settings = predictor.clip_settings
        question = ["what acted at the end"]
        (one,), (other,) = (asking.answer(asking.encode_video(toy_video), question) for asking in (opened, predictor))
        torch.testing.assert_close(one.logits, other.logits)

    def test_published_file_is_asked_as_its_recipe_says(
        self, toy_world, toy_checkpoint, toy_video, tmp_path, predictor, monkeypatch, capsys
    ):
        path, swin = tmp_path / "weights.ckpt", tmp_path / "swin.pth"
        torch.save(torch.load(toy_checkpoint, weights_only=True)["state_dict"], path)
        torch.save(predictor.extractor.model.state_dict(), swin)
        asked = []
        original = Predictor.encode_video
        monkeypatch.setattr(Predictor, "encode_video", lambda self, video: asked.append(self) or original(self, video))
        words = ["ask", "with", f"load_path={path}", f"swin_path={swin}", f"video={toy_video}", "question=what acted"]
        words += [f"tokenizer={toy_world / 'raw' / 'tokenizer'}", f"data_root={toy_world / 'data' / 'anetqa'}", "toy"]
        words += ["image_size=64", "nframe=16"]
        assert run_command_line([*words, "task_finetune_anetqa", "published_quirks=True"]) == 0
        (opened,) = asked
        assert (opened.video_settings.trim, opened.video_settings.nframe) == (0.8, 16)
        assert opened.network.published_quirks
        assert opened.encode_video(toy_video).seen.frames.shape == (16, 3, 64, 64)
        assert "says what it was trained with" not in capsys.readouterr().out

    def test_random_weights(self, toy_world, toy_video):
        sizes = {"image_size": 32, "hidden_size": 24, "head_width": 24, "input_video_embed_size": 128, "nframe": 2}
        sizes |= {"vit_config": {"vit_depth": 1, "vit_heads": 2}, "answer_config": {"answer_layers": 1}}
        sizes["bert_config"] = {"num_layers": 2, "num_text_layers": 1, "num_heads": 2, "vocab_size": 600}
        words = {"data_root": toy_world / "data" / "anetqa", "tokenizer": toy_world / "raw" / "tokenizer"}
        with pytest.raises(InputError, match="random weights know no answers: add data_root=FOLDER"):
            Predictor.open(None, settings=sizes)
        with pytest.raises(
            InputError, match="Video Swin base gives features of 1024 numbers, and the network takes 128"
        ):
            Predictor.open(None, settings=sizes | words)
        sizes |= {"input_video_embed_size": 1024, "temporal": False}
        predictor = Predictor.open(None, settings=sizes | words)
        assert predictor.notes == ["no load_path: the weights are random, and so are the answers"]
        (answer,) = predictor.answer(predictor.encode_video(toy_video), ["what acted at the end"])
        assert len(answer.best) == 10


@pytest.fixture(scope="module")
def swin(predictor, tmp_path_factory):
    path = tmp_path_factory.mktemp("swin") / "swin.pth"
    torch.save(predictor.extractor.model.state_dict(), path)
    return path


class TestVideoSwin:
    """`swin_path` against what the checkpoint says of its clip features."""

    @pytest.fixture
    def checkpoint(self, toy_checkpoint, tmp_path):
        """A checkpoint whose clip features are said to be of some file."""
        content = torch.load(toy_checkpoint, weights_only=True)
        clips = content["dest"]["preprocessing"]["clips"]
        clips |= {"random_start": None, "checkpoint_sha256": "0" * 64}
        path = tmp_path / "x.ckpt"
        torch.save(content, path)
        return path

    def test_missing(self, checkpoint):
        with pytest.raises(
            InputError, match=r"need the Video Swin toy checkpoint that .* made with: add swin_path=FILE"
        ):
            Predictor.open(checkpoint)

    def test_another_file(self, checkpoint, swin, predictor, toy_video):
        opened = Predictor.open(checkpoint, swin)
        assert opened.notes[0] == f"{swin} is another file than the one that the training features were made with"
        assert np.array_equal(opened.encode_video(toy_video).seen.clips, predictor.encode_video(toy_video).seen.clips)

    def test_not_needed(self, toy_checkpoint, swin):
        with pytest.raises(InputError, match="were made by an untrained Video Swin; drop swin_path"):
            Predictor.open(toy_checkpoint, swin)

    def test_no_video_swin(self, checkpoint, toy_checkpoint):
        with pytest.raises(InputError, match="no Video Swin that is known"):
            Predictor.open(checkpoint, toy_checkpoint)

    def test_record_of_another_version(self, checkpoint, swin):
        content = torch.load(checkpoint, weights_only=True)
        del content["dest"]["preprocessing"]["clips"]["clip_len"]
        torch.save(content, checkpoint)
        with pytest.raises(InputError, match="record of its clip features is another version's, without: 'clip_len'"):
            Predictor.open(checkpoint, swin)


class TestCommand:
    def words(self, *more):
        return ["ask", "with", *more]

    def test_several_questions(self, toy_checkpoint, toy_video, tmp_path, capsys):
        (tmp_path / "questions.txt").write_text("what is below the sign\n\nwhat color is the sign\n")
        words = self.words(
            f"load_path={toy_checkpoint}",
            f"video={toy_video}",
            "question=['what acted at the end','is there a tree']",
            f"question_file={tmp_path / 'questions.txt'}",
            f"save={tmp_path / 'out.png'}",
        )
        assert run_command_line(words) == 0
        output = capsys.readouterr().out
        asked = ["what acted at the end", "is there a tree", "what is below the sign", "what color is the sign"]
        places = [output.index(question) for question in asked]
        assert places == sorted(places)
        assert output.count(" % \n") == 40  # ten answers each
        assert "never trained" in output
        for stage in ("loading", "frames", "clip features", "video", "answers", "questions", "in all"):
            assert stage in output.splitlines()[-1]
        assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"out_{index}.png" for index in range(1, 5)]

    def test_answers_of_my_own(self, toy_checkpoint, toy_video, tmp_path, capsys, predictor):
        """Scored as those of the vocabulary are, whatever the network was trained on."""
        (tmp_path / "answers.txt").write_text("a purple heart\n\n red diamond \n")
        words = self.words(f"load_path={toy_checkpoint}", f"video={toy_video}", "question=what acted at the end")
        words += ["not_sure_below=1", "answers=['red diamond','7']", f"answer_file={tmp_path / 'answers.txt'}"]
        assert run_command_line(words) == 0
        output = capsys.readouterr().out
        assert "note: scored are 3 answers of your own; " in output
        assert f"of them are not among the {len(predictor.vocabulary)} that the network" in " ".join(output.split())
        assert output.count(" % \n") == 4  # above them what it is not sure of
        assert re.search(r"not sure +< 100 %", output)
        opened = Predictor.open(toy_checkpoint, settings={"answers": ["a purple heart", "red diamond"]})
        (own,), (all_answers,) = (
            asking.answer(asking.encode_video(toy_video), ["what acted at the end"]) for asking in (opened, predictor)
        )
        place = predictor.vocabulary.index("red diamond")
        torch.testing.assert_close(own.logits[1], all_answers.logits[place], rtol=1e-5, atol=1e-5)
        vocabulary = toy_checkpoint.parent / "vocab.json"
        vocabulary.write_text('{"b": 1, "a": 0}')
        assert Predictor.open(toy_checkpoint, settings={"answer_file": str(vocabulary)}).vocabulary == ["a", "b"]

    def test_names_are_no_markup(self, toy_checkpoint, toy_video, tmp_path, capsys):
        picture = tmp_path / "p[/b]q:x:.png"
        words = self.words(f"load_path={toy_checkpoint}", f"video={toy_video}", "question=what is [/b] it")
        assert run_command_line([*words, f"save={picture}"]) == 0
        output = capsys.readouterr().out
        assert f"picture: {picture}" in output
        assert "what is [/b] it" in output
        assert picture.exists()

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            (["video=nowhere.mp4"], "video='nowhere.mp4' does not exist"),
            (["video=None"], "video is not set: add video=FILE, the video to ask about"),
            (["question="], 'question is empty: write what is asked in quotes, question="what is the person doing"'),
            (["question=[]"], 'nothing is asked: add question="what is the person doing", or question_file=FILE'),
            (["answer_file=nowhere.txt"], "answer_file='nowhere.txt' does not exist"),
            (["question_file=nowhere.txt"], "question_file='nowhere.txt' does not exist"),
            (["load_path=nowhere.ckpt"], "load_path='nowhere.ckpt' does not exist"),
            (["swin_path=nowhere.pth"], "swin_path='nowhere.pth' does not exist"),
            (["save=out.txt"], "save='out.txt': the name of a picture ends in .png, .pdf or .svg"),
            (["precision=16"], "precision=16 needs a GPU"),
            (["vidoe=x.mp4"], "no setting is called 'vidoe' (did you mean 'video'?)"),
            (["swin=x.mp4"], "no setting is called 'swin'"),
        ],
    )
    def test_mistakes(self, toy_checkpoint, toy_video, capsys, changes, said):
        words = self.words(f"load_path={toy_checkpoint}", f"video={toy_video}", "question=what acted at the end")
        assert run_command_line([*words, *changes]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1

    def test_questions_end_where_lines_do(self, tmp_path):
        (tmp_path / "questions.txt").write_bytes("who\u2028is it\r\n\n what\x0cis it \n".encode())
        assert read_list("question_file", tmp_path / "questions.txt", "question") == ["who\u2028is it", "what\x0cis it"]

    def test_a_file_of_no_question(self, tmp_path):
        (tmp_path / "questions.txt").write_text("\n \n")
        with pytest.raises(InputError, match="holds no question; write one per line"):
            read_list("question_file", tmp_path / "questions.txt", "question")
        (tmp_path / "questions.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="cannot be read as text"):
            read_list("question_file", tmp_path / "questions.txt", "question")

    @pytest.mark.parametrize("content", [b"", b"no video", "cut"])
    def test_a_broken_video(self, toy_checkpoint, tmp_path, capsys, content):
        path = make_video(tmp_path / "clip.mp4", 10)
        path.write_bytes(path.read_bytes()[:600] if content == "cut" else content)
        words = self.words(f"load_path={toy_checkpoint}", f"video={path}", "question=what acted at the end")
        assert run_command_line(words) == 2
        error = capsys.readouterr().err
        assert f"{path} is no video that can be used: " in error
        assert error.count("\n") == 1

    def test_a_damaged_video_is_used_and_said(self, toy_checkpoint, tmp_path, capsys):
        path = make_video(tmp_path / "clip.mp4", 50, options=("-pix_fmt", "yuv420p", "-movflags", "+faststart"))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        words = self.words(f"load_path={toy_checkpoint}", f"video={path}", "question=what acted at the end")
        assert run_command_line(words) == 0
        assert "is damaged" in " ".join(capsys.readouterr().out.split())

    def test_a_checkpoint_that_knows_no_answers(self, toy_checkpoint, toy_video, tmp_path, capsys):
        content = torch.load(toy_checkpoint, weights_only=True)
        content["state_dict"] = {
            name: weight for name, weight in content["state_dict"].items() if not name.startswith("frame_head")
        }
        torch.save(content, tmp_path / "trm.ckpt")
        words = self.words(f"load_path={tmp_path / 'trm.ckpt'}", f"video={toy_video}", "question=what acted at the end")
        assert run_command_line(words) == 2
        error = capsys.readouterr().err
        assert "trm.ckpt is a TRM checkpoint (pre-training) and knows no answers: fine-tune from it first" in error
        assert error.count("\n") == 1


class TestFullMemory:
    """Of the GPU or the machine: one line that says what to lower, and a predictor that can be asked again."""

    LOWER = r"lower nframe \(now 4\) or per_gpu_batchsize \(now \d+\), or set precision=bf16, or "
    GPU = rf"^the GPU's memory is full; {LOWER}set accelerator=cpu, or free some of it$"
    MACHINE = rf"^the machine's memory is full; {LOWER}free some of it$"
    ERRORS = (
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), GPU),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), GPU),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), MACHINE),
        (MemoryError(), MACHINE),
    )

    @pytest.mark.parametrize(("error", "message"), ERRORS)
    def test_while_looking_and_asking(self, predictor, toy_video, monkeypatch, error, message):
        video = predictor.encode_video(toy_video)
        for method in ("encode_videos", "question_features"):
            with monkeypatch.context() as patch:
                patch.setattr(predictor.network, method, failing(error))
                with pytest.raises(InputError, match=message):
                    predictor.answer(predictor.encode_video(toy_video), ["what"])
        assert len(predictor.answer(video, ["what"])) == 1

    def test_while_loading(self, toy_checkpoint, monkeypatch):
        monkeypatch.setattr("modules.checkpoints.network.load_weights", failing(self.ERRORS[0][0]))
        with pytest.raises(InputError, match=r"^the GPU's memory is full; set accelerator=cpu, or free some"):
            Predictor.open(toy_checkpoint)

    def test_another_error_comes_out_as_it_is(self, predictor, toy_video, monkeypatch):
        monkeypatch.setattr(predictor.network, "encode_videos", failing(RuntimeError("a mistake")))
        with pytest.raises(RuntimeError, match="a mistake"):
            predictor.encode_video(toy_video)


def failing(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail
