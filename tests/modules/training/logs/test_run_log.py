"""What a run logs: read back from TensorBoard's files and from the CSV log, of question answering and of TRM."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from config import run_command_line
from modules.objectives.example import Example
from modules.training.logs import run_log
from modules.training.logs.run_log import RunLog, draw, memory
from tests.kit.captioned_world import make_captioned_world
from tests.kit.captioned_world import settings as trm_settings
from tests.kit.small_world import make_small_world, settings


def read(folder: Path) -> tuple[dict[str, list[tuple[int, float]]], EventAccumulator, dict[str, dict[int, float]]]:
    """Of a run's folder: scalars of TensorBoard, all of its log, and the numbers of the CSV log by name and step."""
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0}).Reload()
    scalars = {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    numbers: dict[str, dict[int, float]] = {}
    with (folder / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name != "step":
                    numbers.setdefault(name, {})[int(row["step"])] = float(value)
    return scalars, events, numbers


def text_of(events: EventAccumulator, tag: str) -> str:
    return events.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """24 steps of two batches of four questions, three steps per epoch."""
    world = make_small_world(tmp_path_factory.mktemp("world"))
    assert run_command_line(settings(world, "exp_name=log", "max_epoch=8", "learning_rate=1e-3")) == 0
    return read(world / "result" / "log_seed0" / "version_0")


class TestQuestionAnswering:
    def test_the_same_numbers_in_both(self, log):
        scalars, _, numbers = log
        assert numbers.keys() == scalars.keys()
        for name, values in numbers.items():
            assert [step for step, _ in scalars[name]] == list(values), name
            assert [value for _, value in scalars[name]] == pytest.approx(list(values.values()), rel=1e-6), name

    def test_loss_and_accuracy(self, log):
        scalars, *_ = log
        assert [step for step, _ in scalars["train/loss"]] == [9, 19]
        assert [step for step, _ in scalars["val/accuracy"]] == list(range(2, 24, 3))

    def test_rates_are_those_of_the_step(self, log):
        """Warm-up over 10 % of 24 steps, two; then down to 0 at the end: 22 steps."""
        scalars, *_ = log
        rates = {name: values for name, values in scalars.items() if name.startswith("lr/")}
        assert set(rates) == {"lr/base", "lr/head", "lr/answers", "lr/temporal"}
        for name, factor in (("lr/base", 1), ("lr/head", 50), ("lr/answers", 1), ("lr/temporal", 10)):
            peak = 1e-3 * factor
            assert rates[name] == [(9, pytest.approx(peak * 15 / 22)), (19, pytest.approx(peak * 5 / 22))]

    def test_speed(self, log):
        scalars, *_ = log
        questions = [value for _, value in scalars["speed/questions_per_second"]]
        frames = [value for _, value in scalars["speed/frames_per_second"]]
        assert len(questions) == 2
        assert all(1 < value < 1e5 for value in questions)
        # Of each video two frames, and one to four of its questions in a batch.
        assert all(0.5 <= frame / question <= 2 for frame, question in zip(frames, questions, strict=True))

    def test_memory(self, log):
        scalars, *_ = log
        assert "memory/gpu_peak_gib" not in scalars  # on the CPU
        assert all(0.05 < value < 64 for _, value in scalars["memory/process_gib"])
        assert all(0 < value <= 100 for _, value in scalars["memory/machine_percent"])

    def test_settings_as_text(self, log):
        text = text_of(log[1], "settings")
        assert "| learning_rate | `0.001` |" in text
        assert "| exp_name | `log` |" in text

    def test_answers_to_look_at(self, log):
        _, events, _ = log
        tags = events.Tags()["images"]
        assert tags == [f"examples/{number}" for number in range(4)]
        for tag in tags:
            images = events.Images(tag)
            assert [image.step for image in images] == list(range(3, 25, 3))
            with Image.open(io.BytesIO(images[-1].encoded_image_string)) as picture:
                assert picture.height > 112
                assert picture.width >= 2 * 112


def test_pre_training(tmp_path):
    world = make_captioned_world(tmp_path)
    assert run_command_line(trm_settings(world, "exp_name=log")) == 0
    scalars, events, numbers = read(world / "result" / "log_seed0" / "version_0")
    assert numbers.keys() == scalars.keys()
    assert {"lr/head", "lr/temporal", "speed/questions_per_second", "memory/process_gib"} <= scalars.keys()
    assert "speed/frames_per_second" not in scalars
    text = text_of(events, "examples/0")
    assert text.startswith("what happened")
    assert "true answer: the " in text
    assert text.count(" %") == 3


def test_no_log_no_cost(tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, "RunLog", None)  # were it made, the run would fail
    world = make_small_world(tmp_path)
    assert run_command_line(settings(world, "exp_name=dev", "fast_dev_run=True")) == 0


class TestValidations:
    def trainer(self, batches: int, **more):
        board = SimpleNamespace(name="board")
        trainer = SimpleNamespace(
            global_step=0, is_global_zero=True, sanity_checking=False, num_val_batches=[batches], loggers=[board]
        )
        trainer.__dict__.update(more)
        return trainer

    @pytest.fixture(autouse=True)
    def a_board(self, monkeypatch):
        monkeypatch.setattr(run_log, "_boards", lambda trainer: trainer.loggers)

    def shown(self, log, trainer) -> list[int]:
        log.on_validation_start(trainer, None)
        return list(log._shown_batches)

    def test_batches_all_over_the_split(self):
        assert self.shown(RunLog({}), self.trainer(100)) == [0, 25, 50, 75]
        assert self.shown(RunLog({}), self.trainer(2)) == [0, 1]

    def test_not_on_other_ranks_nor_before_training_nor_without_tensorboard(self):
        for more in ({"is_global_zero": False}, {"sanity_checking": True}, {"loggers": []}):
            assert self.shown(RunLog({}), self.trainer(100, **more)) == []

    def test_ever_more_rarely(self):
        log, trainer = RunLog({}), self.trainer(10)
        steps = []
        for trainer.global_step in range(1, 1001):
            if self.shown(log, trainer):
                steps.append(trainer.global_step)
        assert steps[:10] == list(range(1, 11))
        assert len(steps) < 70


def test_caption_marks_the_right_answer():
    example = Example("what colour", "red", [("blue", 0.75), ("red", 0.05)])
    assert example.caption() == "what colour\ntrue answer: red\n  75.0 %  blue\n>  5.0 %  red"


@pytest.mark.parametrize(("num_frames", "width"), [(1, 112), (4, 448), (16, 896)])
def test_picture(num_frames, width):
    frames = torch.arange(num_frames, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 224, 224) * 10
    picture = draw(Example("what", "red", [("red", 1.0)], frames))
    assert picture.shape[1] >= width
    row = picture[56, :width:112, 0]
    assert row[0] == 0
    assert row[-1] == 10 * (num_frames - 1)
    assert (np.diff(row.astype(int)) > 0).all()
    assert picture[112:].min() < 100  # the caption


def test_memory_of_a_process():
    assert set(memory(torch.device("cpu"))) == {"memory/process_gib", "memory/machine_percent"}
