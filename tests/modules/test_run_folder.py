import csv
import errno
import os
import re
from pathlib import Path

import pytest

from datasets.errors import InputError
from modules import run_folder
from modules.checkpoint_reader import CheckpointFile
from modules.run_folder import LogPosition, ResumableCSVLogger, checkpoint_label, new_run_folder, predictions_path


def test_versions(tmp_path):
    assert new_run_folder(tmp_path, "a", 0) == tmp_path / "a_seed0/version_0"
    for name in ("version_2", "version_10", "version_x", "other"):
        (tmp_path / "a_seed0" / name).mkdir(parents=True)
    assert new_run_folder(tmp_path, "a", 0).name == "version_11"
    assert new_run_folder(tmp_path, "a", 1).name == "version_0"


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


class TestResumedLog:
    ROWS = "step,train/loss,val/loss\n3,1.0,\n4,,2.0\n5,1.5,\n6,1.7,\n"

    def resumed(self, folder: Path, position: LogPosition) -> str:
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(self.ROWS)
        logger = ResumableCSVLogger(folder, position)
        logger.log_metrics({"train/loss": 9.0, "train/new": 8.0}, step=5)
        logger.save()
        return (folder / "metrics.csv").read_text()

    def test_continues_without_doubles(self, tmp_path):
        log = self.resumed(tmp_path / "a/version_0", LogPosition(step=5, validation_is_due=False))
        assert log.splitlines() == ["step,train/loss,train/new,val/loss", "3,1.0,,", "4,,,2.0", "5,9.0,8.0,"]

    def test_drops_a_validation_that_comes_again(self, tmp_path):
        log = self.resumed(tmp_path / "a/version_0", LogPosition(step=5, validation_is_due=True))
        assert log.splitlines()[1:] == ["3,1.0,,", "5,9.0,8.0,"]

    def test_row_that_was_cut_short(self, tmp_path):
        self.ROWS += "2,1"
        log = self.resumed(tmp_path / "a/version_0", LogPosition(step=5, validation_is_due=False))
        assert len(log.splitlines()) == 4

    def test_position_of_a_checkpoint(self):
        def checkpoint(ready, completed, step=7):
            progress = {"total": {"ready": ready, "completed": completed}}
            loops = {"fit_loop": {"epoch_loop.val_loop.batch_progress": progress}}
            return CheckpointFile(Path("last.ckpt"), "zip", "", {}, others={"global_step": step, "loops": loops})

        assert LogPosition.of(checkpoint(4, 4)) == LogPosition(7, False)
        assert LogPosition.of(checkpoint(5, 4)) == LogPosition(7, True)
        for broken in (checkpoint(5, None), checkpoint(5, 4, step="7"), CheckpointFile(Path("last.ckpt"), "", "", {})):
            with pytest.raises(InputError, match=r"last\.ckpt does not say how far its run had come; resume from anot"):
                LogPosition.of(broken)

    @pytest.mark.parametrize("damaged", [b"", b"\0" * 500, b"\xff\xfe", b"epoch,loss\n0,1\n", b"step,step\n1,1\n"])
    def test_a_log_that_is_none_is_put_aside(self, tmp_path, damaged):
        folder = tmp_path / "a/version_0"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_bytes(damaged)
        logger = ResumableCSVLogger(folder, LogPosition(step=5, validation_is_due=False))
        with pytest.warns(UserWarning, match=r"metrics\.csv is damaged; it is kept as metrics\.damaged\.csv"):
            logger.log_metrics({"train/loss": 9.0}, step=5)
        logger.save()
        assert (folder / "metrics.csv").read_text().splitlines() == ["step,train/loss", "5,9.0"]
        assert (folder / "metrics.damaged.csv").read_bytes() == damaged


class TestFullDisk:
    """What a log held before stays whole, and the error names the file."""

    @pytest.fixture
    def log(self, tmp_path):
        logger = ResumableCSVLogger(tmp_path / "a/version_0")
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

        def save(file, hparams):
            Path(file).write_text("se")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(run_folder, "save_hparams_to_yaml", save)
        with pytest.raises(InputError, match=r"cannot write .*hparams\.yaml: No space left on device"):
            logger.log_hyperparams({"seed": 2})
        assert settings.read_bytes() == before
        assert {file.name for file in path.parent.iterdir()} == {"metrics.csv", "hparams.yaml"}
