from pathlib import Path

import pytest

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
        def checkpoint(ready, completed):
            progress = {"total": {"ready": ready, "completed": completed}}
            return {"global_step": 7, "loops": {"fit_loop": {"epoch_loop.val_loop.batch_progress": progress}}}

        assert LogPosition.of(checkpoint(4, 4)) == LogPosition(7, False)
        assert LogPosition.of(checkpoint(5, 4)) == LogPosition(7, True)
