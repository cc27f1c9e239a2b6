"""The file of predictions: what may be in its way, before and meanwhile."""

import json
from types import SimpleNamespace

import pytest

from datasets.errors import InputError
from datasets.files import sha256_of
from modules.training.prediction_writer import PredictionWriter, check_free

RECORDS = [{"qid": "q", "answer": "yes"}]
LOADER = SimpleNamespace(dataset=RECORDS)
TRAINER = SimpleNamespace(world_size=1, is_global_zero=True, fast_dev_run=False, predict_dataloaders=LOADER)
MODULE = SimpleNamespace(summarize=lambda records: (records, "1 of 1 right"))


def write(path, overwrite=False, meanwhile=lambda: None, outputs=RECORDS):
    check_free(path, overwrite)
    writer = PredictionWriter(path, overwrite, lambda: {"nframe": 16})
    writer.on_predict_start(TRAINER, MODULE)
    writer.on_predict_batch_end(TRAINER, MODULE, outputs)
    meanwhile()
    writer.on_predict_end(TRAINER, MODULE)


def test_what_is_in_the_way_is_told_before_the_prediction(tmp_path):
    path = tmp_path / "new" / "a.json"
    check_free(path, False)
    path.mkdir(parents=True)
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"^cannot write .*a\.json: it is a folder$"):
            check_free(path, overwrite)
    path.rmdir()
    path.write_text("")
    with pytest.raises(InputError, match=r"a\.json exists; add overwrite=True"):
        check_free(path, False)
    with pytest.raises(InputError, match=r"^cannot write .*b\.json: .*a\.json is no folder$"):
        check_free(path / "b.json", False)


def test_a_file_that_appears_meanwhile_costs_no_answers(tmp_path, capsys):
    path, free = tmp_path / "a.json", tmp_path / "a_3.json"
    (tmp_path / "a_2.json").write_text("older")
    write(path, meanwhile=lambda: path.write_text("another run's"))
    assert (path.read_text(), (tmp_path / "a_2.json").read_text()) == ("another run's", "older")
    assert json.loads(free.read_text()) == RECORDS
    record = json.loads((tmp_path / "a_3.meta.json").read_text())
    assert record == {"nframe": 16, "probe": "none", "questions": 1, "predictions_sha256": sha256_of(free)}
    assert not (tmp_path / "a.meta.json").exists()
    told = f"1 of 1 right\npredictions: {free} ({path} exists: it appeared during the prediction)\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("outputs", [[], RECORDS * 2])
def test_answers_that_are_lost_or_doubled_make_no_file(tmp_path, outputs):
    with pytest.raises(RuntimeError, match=f"{len(outputs)} answers to 1 questions"):
        write(tmp_path / "a.json", outputs=outputs)
    assert not list(tmp_path.iterdir())
