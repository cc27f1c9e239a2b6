"""The folder of a run: whose it is, what a run is resumed from, and logs that stay whole."""

import csv
import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datasets.errors import InputError
from modules.checkpoints.reader import CheckpointFile
from modules.training import checkpointing, run_folder
from modules.training.run_folder import LogPosition, MetricsLog, find_checkpoint, new_run_folder

ROWS = "step,train/loss,val/loss\n3,1.0,\n4,,2.0\n5,1.5,\n"


def fail(number: int):
    raise OSError(number, os.strerror(number))


def test_each_of_many_starts_has_a_folder_of_its_own(tmp_path):
    for name in ("version_2", "version_10", "version_x", "other"):
        (tmp_path / "a_seed0" / name).mkdir(parents=True)
    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(lambda _: new_run_folder(tmp_path, "a", 0), range(64)))
    assert {folder.name for folder in folders} == {f"version_{number}" for number in range(11, 75)}
    assert all(folder.is_dir() for folder in folders)
    assert new_run_folder(tmp_path, "a", 1) == tmp_path / "a_seed1/version_0"
    (tmp_path / "b_seed0").touch()
    with pytest.raises(InputError, match=f"cannot make a folder in {tmp_path}/b_seed0: File exists"):
        new_run_folder(tmp_path, "b", 0)


def test_the_newest_checkpoint_is_known_by_its_name_whatever_the_times(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "_read_resumable", Path)
    names = [f"{name}.ckpt" for name in ("next", "last", "previous", "best", "mine")]
    paths = [tmp_path / f"a_seed0/version_{number}/checkpoints" / name for number in (10, 9) for name in names]
    for hour, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (3600 * hour, 3600 * hour))
    for path in paths:
        assert find_checkpoint("last", tmp_path, "a", 0) == path
        path.unlink()


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_outlasts_a_power_cut(tmp_path, monkeypatch, links):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda it: synced.append(Path(f"/proc/self/fd/{it}").readlink()))
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: fail(errno.EPERM))
    (tmp_path / "last.ckpt").write_text("whole")
    for _ in range(2):
        synced.clear()
        checkpointing._share(tmp_path / "last.ckpt", tmp_path / "best.ckpt")
        assert synced[-1] == tmp_path and len(synced) == (1 if links else 2)
        found = {path.name: path.read_text() for path in tmp_path.iterdir()}
        assert found == {"last.ckpt": "whole", "best.ckpt": "whole"}


@pytest.mark.parametrize("cut", ["", *("6,1.7,\n"[:length] for length in range(1, 8))])  # by a kill
@pytest.mark.parametrize("is_due", [False, True])
def test_a_resumed_log_continues_without_doubles(tmp_path, cut, is_due):
    (tmp_path / "metrics.csv").write_text(ROWS + cut)
    progress = {"total": {"ready": 5 if is_due else 4, "completed": 4}}
    loops = {"fit_loop": {"epoch_loop.val_loop.batch_progress": progress}}
    file = CheckpointFile(Path("last.ckpt"), "zip", "", {}, others={"global_step": 5, "loops": loops})
    logger = MetricsLog(tmp_path, LogPosition.of(file))
    for step, metrics in ((5, {"train/loss": 9.0, "train/new": 8.0}), (6, {"val/loss": 6.0}), (7, {"val/loss": 7.0})):
        logger.log_metrics(metrics, step=step)
        logger.save()
    expected = ["step,train/loss,train/new,val/loss", "3,1.0,,", "4,,,2.0", "5,9.0,8.0,", "6,,,6.0", "7,,,7.0"]
    if is_due:
        expected.remove("4,,,2.0")
    assert (tmp_path / "metrics.csv").read_text().splitlines() == expected


@pytest.mark.parametrize("name", ["train/loss", "val/loss"])  # a row more; a column more, which is all of it again
def test_a_full_disk_leaves_the_log_whole(tmp_path, monkeypatch, name):
    path = tmp_path / "metrics.csv"
    logger = MetricsLog(tmp_path)
    logger.log_metrics({"train/loss": 1.0}, step=0)
    logger.save()
    logger.log_hyperparams({"seed": 1})
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    def writerows(writer, rows):
        writer.writer.writerow(["1", "0."])
        fail(errno.ENOSPC)

    monkeypatch.setattr(csv.DictWriter, "writerows", writerows)
    monkeypatch.setattr(run_folder.yaml, "safe_dump", lambda _, file: file.write("se") and fail(errno.ENOSPC))
    logger.log_metrics({name: 2.0}, step=1)
    with pytest.raises(InputError, match=rf"cannot write {re.escape(str(path))}: No space left on device"):
        logger.save()
    with pytest.raises(InputError, match=r"cannot write .*hparams\.yaml: No space left on device"):
        logger.log_hyperparams({"seed": 2})
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    logger.finalize("failed")  # what ended the run is told, not this
    with pytest.raises(InputError):
        logger.finalize("success")
