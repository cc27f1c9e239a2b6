"""Logs of runs: what is read, what is not one, and what they are called."""

import pytest

from datasets.errors import InputError
from modules.evaluation.page.curves import read_run, run_names, thin_out

LOG = "epoch,step,train/loss,val/accuracy\n0,9,1.5,\n0,19,nan,\n0,19,,0.5\n1,29,0.5,0.75\n1,3"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "anetqa_seed0" / "version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(LOG)
    return folder


def test_by_folder_or_file(run):
    for path in (run, run / "metrics.csv"):
        found = read_run(path)
        assert found.names == ("anetqa_seed0", "version_0")
        assert found.metrics == {"train/loss": [(10, 1.5), (30, 0.5)], "val/accuracy": [(20, 0.5), (30, 0.75)]}


def test_names(run, tmp_path):
    other = tmp_path / "anetqa_seed0" / "version_1"
    other.mkdir()
    (other / "metrics.csv").write_text(LOG)
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "metrics.csv").write_text(LOG)
    first, second, third = map(read_run, (run, other, loose))
    assert run_names([first, third]) == ["anetqa_seed0", "loose"]
    assert run_names([first, second]) == ["anetqa_seed0/version_0", "anetqa_seed0/version_1"]
    assert run_names([third, third]) == ["loose (1)", "loose (2)"]


def test_no_log(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "anetqa_seed0", "holds no metrics.csv; it has the runs version_0; give the folder of a run"),
        (tmp_path, "holds no metrics.csv; it has the runs anetqa_seed0/version_0; give the folder of a run"),
        (tmp_path / "empty", "empty holds no metrics.csv; give the folder of a run"),
        (tmp_path / "anetqa_sed0", r"does not exist \(did you mean 'anetqa_seed0'\?\); give the folder of a run"),
        (tmp_path / "a" / "b", "does not exist; give the folder of a run, such as result/anetqa_seed0/version_0"),
    ):
        with pytest.raises(InputError, match=message):
            read_run(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "has no column 'step'; it is not the log"),
        (b"step\n\xff\n", "is not a CSV file"),
        (b"", "is not a CSV file"),
    ],
)
def test_other_files(tmp_path, content, message):
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_run(path)
    assert str(path) in str(caught.value)


def test_long_curves_become_means():
    points = [(step, float(step)) for step in range(1, 1001)]
    found = thin_out(points, most=100)
    assert len(found) == 100
    assert found[0] == (10, 5.5)
    assert found[-1] == (1000, 995.5)
    assert thin_out(points[:7], most=100) == points[:7]
