"""Makes the page that its tests read, in Python and in a browser."""

import shutil

import pytest
from PIL import Image

import eval as evaluation

from ..results import make_results

STEPS = "".join(f"0,{10 * step - 1},{2 / step},{'' if step % 3 else 1 / step}\n" for step in range(1, 30))
LOG = "epoch,step,lr/head,train/accuracy,train/loss,val/accuracy,val/loss\n0,9,0.1,0.25,3.5,,\n0,19,,,,0.5,2.5\n"
LOGS = {"mean": LOG, "a<b>_seed0": LOG, "trm": "epoch,step,train/loss,val/accuracy,val/align_loss\n0,9,4.5,0.2,1.5\n"}
LOGS["long"] = "epoch,step,train/loss,val/loss\n" + STEPS


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    """A truth with its predictions, frames of half of the videos, logs of runs, a training split; the page."""
    folder = tmp_path_factory.mktemp("results")
    truth, files = make_results(folder)
    for video in range(12):
        frames = folder / "frames" / f"v_video{video}"
        frames.mkdir(parents=True)
        for frame in range(3 * (video + 1)):
            Image.new("RGB", (32, 24), (20 * video, 0, 0)).save(frames / f"{frame}.png")
    more = ["--frames", frames.parent, "--train", shutil.copy(truth, folder / "train.csv")]
    for name, log in LOGS.items():
        run = folder / name / "version_0"
        run.mkdir(parents=True)
        (run / "metrics.csv").write_text(log)
        more += ["--log", run]
    words = ["anet", *files, truth, "--json", folder / "scores.json", "--report", folder / "page.html", *more]
    assert evaluation.main([str(word) for word in words]) == 0
    return folder
