import csv
import errno
import os
import re
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datasets.errors import InputError
from datasets.files import atomic_write
from modules.checkpoints.reader import CheckpointFile
from modules.training import checkpointing, run_folder
from modules.training.run_folder import (
    LogPosition,
    MetricsLog,
    checkpoint_label,
    find_checkpoint,
    new_run_folder,
    predictions_path,
    sole_writer,
)


@pytest.fixture(autouse=True)
def no_ranks(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)


class TestNewFolder:
    def test_versions(self, tmp_path):
        assert new_run_folder(tmp_path, "a", 0) == tmp_path / "a_seed0/version_0"
        for name in ("version_2", "version_10", "version_x", "other"):
            (tmp_path / "a_seed0" / name).mkdir(parents=True)
        assert new_run_folder(tmp_path, "a", 0).name == "version_11"
        assert new_run_folder(tmp_path, "a", 0).name == "version_12"
        assert new_run_folder(tmp_path, "a", 1).name == "version_0"

    def test_each_of_many_starts_has_its_own(self, tmp_path):
        with ThreadPoolExecutor(8) as threads:
            folders = list(threads.map(lambda _: new_run_folder(tmp_path, "a", 0), range(64)))
        assert {folder.name for folder in folders} == {f"version_{number}" for number in range(64)}
        assert all(folder.is_dir() for folder in folders)

    @pytest.mark.parametrize(
        "ranks", [{"LOCAL_RANK": "1"}, {"RANK": "8", "LOCAL_RANK": "0"}, {"SLURM_PROCID": "1"}, {"NODE_RANK": "1"}]
    )
    def test_other_ranks_write_nothing(self, tmp_path, monkeypatch, ranks):
        for name, value in ranks.items():
            monkeypatch.setenv(name, value)
        folder = new_run_folder(tmp_path, "a", 0)
        with sole_writer(folder):
            assert folder.name == "version_0"
            assert not list(tmp_path.iterdir())

    def test_fast_dev_run_makes_none(self, tmp_path):
        assert new_run_folder(tmp_path, "a", 0, fast_dev_run=True).name == "version_0"
        assert not list(tmp_path.iterdir())

    def test_what_stands_in_the_way_is_named(self, tmp_path):
        (tmp_path / "a_seed0").touch()
        with pytest.raises(InputError, match=r"cannot make a folder in .*/a_seed0: File exists"):
            new_run_folder(tmp_path, "a", 0)
        with pytest.raises(InputError, match=r"cannot make a folder in .*/b_seed0: Not a directory"):
            new_run_folder(tmp_path / "a_seed0", "b", 0)


class TestSoleWriter:
    # The child stands for a loader worker, which outlives a process that is killed for a while.
    HOLD = (
        "import os, sys, time; from pathlib import Path; from modules.training.run_folder import sole_writer\n"
        "with sole_writer(Path(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    if child: print(child, flush=True)\n"
        "    time.sleep(600)\n"
    )

    def test_a_killed_process_holds_nothing(self, tmp_path):
        other = subprocess.Popen([sys.executable, "-c", self.HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
        child = int(other.stdout.readline())
        try:
            said = (
                f"{tmp_path} is being written by process {other.pid} on {socket.gethostname()}; wait for it or stop it"
            )
            with pytest.raises(InputError, match=f"^{re.escape(said)}$"), sole_writer(tmp_path):
                pass
            other.kill()
            other.wait()
            with sole_writer(tmp_path):
                assert (tmp_path / ".lock").read_text() == f"{os.getpid()} {socket.gethostname()}\n"
        finally:
            os.kill(child, 9)
            other.kill()
            other.communicate()


class TestNewestCheckpoint:
    """Files that hold "whole" can be resumed from."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        def read(path):
            if path.read_text() != "whole":
                raise InputError(f"{path} is damaged")
            return path

        monkeypatch.setattr(run_folder, "_read_resumable", read)
        folder = tmp_path / "a_seed0/version_9/checkpoints"
        folder.mkdir(parents=True)
        return folder

    def test_by_name_whatever_the_times(self, tmp_path, folder):
        newer = tmp_path / "a_seed0/version_10/checkpoints"
        newer.mkdir(parents=True)
        names = ("next", "last", "previous", "best", "mine")
        paths = [at / f"{name}.ckpt" for at in (newer, folder) for name in names]
        for hour, path in enumerate(paths):
            path.write_text("whole")
            os.utime(path, (3600 * hour, 3600 * hour))
        for path in paths:
            assert find_checkpoint("last", tmp_path, "a", 0) == path
            path.unlink()


class TestSynced:
    """What a rename has put in place outlasts a power cut."""

    @pytest.fixture
    def synced(self, monkeypatch):
        found = []

        def fsync(descriptor):
            found.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "of folders some file systems know nothing")

        monkeypatch.setattr(os, "fsync", fsync)
        return found

    def test_file_and_folder(self, tmp_path, synced):
        with atomic_write(tmp_path / "a") as file:
            file.write("whole")
        assert [path.name[:3] for path in synced] == [".a.", tmp_path.name[:3]]
        assert (tmp_path / "a").read_text() == "whole"

    @pytest.mark.parametrize("links", [True, False])
    def test_second_name(self, tmp_path, synced, monkeypatch, links):
        def link(*_):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        if not links:
            monkeypatch.setattr(os, "link", link)
        (tmp_path / "last.ckpt").write_text("whole")
        for _ in range(2):
            synced.clear()
            checkpointing._share(tmp_path / "last.ckpt", tmp_path / "best.ckpt")
            assert synced[-1] == tmp_path and len(synced) == (1 if links else 2)
            assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
                "last.ckpt": "whole",
                "best.ckpt": "whole",
            }


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("anetqa.ckpt", "anetqa"),
        ("result/anetqa_seed0/version_2/checkpoints/best.ckpt", "anetqa_seed0_version_2_best"),
        ("elsewhere/mine/last.ckpt", "mine_last"),
        ("elsewhere/mine/checkpoints/last.ckpt", "mine_last"),
    ],
)
def test_label_tells_runs_apart(path, label, tmp_path):
    assert checkpoint_label(tmp_path / path) == label


def test_predictions_path():
    assert predictions_path("result", "qa", ["anetqa"], "ckpt/anetqa.ckpt") == Path("result/anetqa_by_anetqa.json")
    assert predictions_path("result", "qa", ["agqa"], "a.ckpt", "val") == Path("result/agqa_by_a_val.json")


class TestResumedLog:
    ROWS = "step,train/loss,val/loss\n3,1.0,\n4,,2.0\n5,1.5,\n6,1.7,\n"

    def resumed(self, folder: Path, position: LogPosition) -> str:
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(self.ROWS)
        logger = MetricsLog(folder, position)
        logger.log_metrics({"train/loss": 9.0, "train/new": 8.0}, step=5)
        logger.save()
        return (folder / "metrics.csv").read_text()

    def test_continues_without_doubles(self, tmp_path):
        log = self.resumed(tmp_path / "a/version_0", LogPosition(step=5, validation_is_due=False))
        assert log.splitlines() == ["step,train/loss,train/new,val/loss", "3,1.0,,", "4,,,2.0", "5,9.0,8.0,"]

    def test_drops_a_validation_that_comes_again(self, tmp_path):
        log = self.resumed(tmp_path / "a/version_0", LogPosition(step=5, validation_is_due=True))
        assert log.splitlines()[1:] == ["3,1.0,,", "5,9.0,8.0,"]

    @pytest.mark.parametrize("length", range(1, len("6,1.7,\n")))
    def test_row_that_a_kill_cut_short(self, tmp_path, length):
        self.ROWS = self.ROWS[: -len("6,1.7,\n") + length]
        log = self.resumed(tmp_path / "a/version_0", LogPosition(step=5, validation_is_due=False))
        assert log.splitlines()[1:] == ["3,1.0,,", "4,,,2.0", "5,9.0,8.0,"]

    def test_rows_after_the_first_are_added(self, tmp_path):
        self.resumed(tmp_path / "a/version_0", LogPosition(step=5, validation_is_due=False))
        logger = MetricsLog(tmp_path / "a/version_0", LogPosition(step=6, validation_is_due=False))
        for step in (6, 7):
            logger.log_metrics({"val/loss": float(step)}, step=step)
            logger.save()
        rows = (tmp_path / "a/version_0/metrics.csv").read_text().splitlines()
        assert rows[1:] == ["3,1.0,,", "4,,,2.0", "5,9.0,8.0,", "6,,,6.0", "7,,,7.0"]

    def test_position_of_a_checkpoint(self):
        def checkpoint(ready, completed, step=7):
            progress = {"total": {"ready": ready, "completed": completed}}
            loops = {"fit_loop": {"epoch_loop.val_loop.batch_progress": progress}}
            return CheckpointFile(Path("last.ckpt"), "zip", "", {}, others={"global_step": step, "loops": loops})

        assert LogPosition.of(checkpoint(4, 4)) == LogPosition(7, False)
        assert LogPosition.of(checkpoint(5, 4)) == LogPosition(7, True)


class TestFullDisk:
    """What a log held before stays whole, and the error names the file."""

    @pytest.fixture
    def log(self, tmp_path):
        logger = MetricsLog(tmp_path / "a/version_0")
        logger.log_metrics({"train/loss": 1.0}, step=0)
        logger.save()
        return logger, tmp_path / "a/version_0/metrics.csv"

    @pytest.fixture
    def full(self, monkeypatch):
        """The first row arrives in part."""

        def writerows(writer, rows):
            writer.writer.writerow(["1", "0."])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(csv.DictWriter, "writerows", writerows)

    @pytest.mark.parametrize("name", ["train/loss", "val/loss"])  # a row more; a column more, which is all of it again
    def test_of_a_row(self, log, full, name):
        logger, path = log
        before = path.read_bytes()
        logger.log_metrics({name: 2.0}, step=1)
        with pytest.raises(InputError, match=rf"cannot write {re.escape(str(path))}: No space left on device"):
            logger.save()
        assert path.read_bytes() == before
        logger.finalize("failed")  # what ended the run is told, not this
        with pytest.raises(InputError):
            logger.finalize("success")

    def test_of_the_settings(self, log, monkeypatch):
        logger, path = log
        logger.log_hyperparams({"seed": 1})
        settings = path.with_name("hparams.yaml")
        before = settings.read_bytes()

        def dump(values, file):
            file.write("se")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(run_folder.yaml, "safe_dump", dump)
        with pytest.raises(InputError, match=r"cannot write .*hparams\.yaml: No space left on device"):
            logger.log_hyperparams({"seed": 2})
        assert settings.read_bytes() == before
        assert {file.name for file in path.parent.iterdir()} == {"metrics.csv", "hparams.yaml"}
