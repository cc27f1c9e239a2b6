"""What a run logs: read back from TensorBoard's files and from the CSV log, of question answering and of TRM."""

import io
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.kit.runs import rows, train
from tests.kit.small_world import make_small_world


def read(folder: Path) -> tuple[dict[str, dict[int, float]], EventAccumulator]:
    """Of a run's folder: the numbers by name and step, in TensorBoard as in the CSV log; and TensorBoard's log."""
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0}).Reload()
    scalars = {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
    names = rows(folder)[0].keys() - {"step"}
    numbers = {name: {int(row["step"]): float(row[name]) for row in rows(folder) if row[name]} for name in names}
    assert scalars == {name: pytest.approx(values, rel=1e-6) for name, values in numbers.items()}
    return numbers, events


def text_of(events: EventAccumulator, tag: str) -> str:
    return events.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_question_answering(tmp_path):
    """24 steps of two batches of four questions, three steps per epoch."""
    numbers, events = read(train(make_small_world(tmp_path), "log", "max_epoch=8", "learning_rate=1e-3"))
    assert [*numbers["train/loss"]] == [9, 19]
    assert [*numbers["val/accuracy"]] == [*range(2, 24, 3)]
    # Warm-up over 10 % of 24 steps, two; then down to 0 at the end: 22 steps.
    peaks = {"lr/base": 1e-3, "lr/head": 5e-2, "lr/answers": 1e-3, "lr/temporal": 1e-2}
    rates = {name: values for name, values in numbers.items() if name.startswith("lr/")}
    assert rates == {name: pytest.approx({9: peak * 15 / 22, 19: peak * 5 / 22}) for name, peak in peaks.items()}
    for step, questions in numbers["speed/questions_per_second"].items():
        # Of each video two frames, and one to four of its questions in a batch.
        assert 1 < questions < 1e5 and 0.5 <= numbers["speed/frames_per_second"][step] / questions <= 2
        assert 0.05 < numbers["memory/process_gib"][step] < 64 and 0 < numbers["memory/machine_percent"][step] <= 100
    assert "memory/gpu_peak_gib" not in numbers  # on the CPU
    assert {"| learning_rate | `0.001` |", "| exp_name | `log` |"} <= set(text_of(events, "settings").splitlines())
    assert events.Tags()["images"] == [f"examples/{number}" for number in range(4)]
    for tag in events.Tags()["images"]:
        images = events.Images(tag)
        assert [image.step for image in images] == [*range(3, 25, 3)]
        with Image.open(io.BytesIO(images[-1].encoded_image_string)) as picture:
            assert picture.height > 112 and picture.width >= 2 * 112
