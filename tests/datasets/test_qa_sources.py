"""The question-answering datasets, each on a small file in its format; test_messages.py has what is wrong with one."""

import json
import pickle

import pytest

from datasets.sources import QA_SOURCES, agqa, anetqa, get_qa_source, msrvttqa

from .test_messages import AGQA, ANET, MSRVTT


@pytest.mark.parametrize("name", QA_SOURCES)
def test_every_source_is_complete_and_can_be_sent_to_workers(name):
    source = get_qa_source(name)
    assert source.name == name and set(source.split_files) == {"train", "val", "test"}
    assert source.frame_directory.format(video_id="x").endswith("x")
    assert source.feature_key.format(video_id="x").endswith("x")
    assert pickle.loads(pickle.dumps(source)) == source


def counts(source, table):
    """title -> label -> number of questions."""
    return {
        breakdown.title: {label: int(mask.sum()) for label, mask in breakdown.members(table).items()}
        for breakdown in source.breakdowns
    }


def test_activitynet(tmp_path):
    (tmp_path / "test.csv").write_text(f'{ANET}v_a_1,"is it red\n",NA,a,3\nv_b_1,what,null,b,8\n')
    table = anetqa.read_questions(tmp_path / "test.csv")
    assert [table.answer(index) for index in (0, 1)] == ["NA", "null"]
    found = counts(anetqa.SOURCE, table)["type"]
    assert found == dict.fromkeys(anetqa.QUESTION_TYPES.values(), 0) | {"Yes/No": 1, "Other": 1}


def read_agqa(tmp_path, records):
    (tmp_path / "test.json").write_text(json.dumps(records))
    return agqa.read_questions(tmp_path / "test.json")


def test_agqa(tmp_path):
    one = AGQA | {"global": ["exists", "obj-rel"], "novel_comp": 0, "nc_other": 1, "i_obj": None, "more_steps": True}
    other = {**one, "indirect": 1, "steps": 3, "global": ["sequencing", "brand-new"], "semantic": "object"}
    del other["nc_seq"]
    found = counts(agqa.SOURCE, read_agqa(tmp_path, {"a": one, "b": other}))
    asked = dict.fromkeys(("exists", "obj-rel", "sequencing", "brand-new"), 1)
    assert found["reasoning (global)"] == dict.fromkeys(agqa.GLOBAL, 0) | asked
    assert found["semantic"] == {"object": 1, "relation": 1, "action": 0}
    assert found["answer type"] == {"binary": 2, "open": 0}
    assert found["novel compositions"] == {"all novel compositions": 0, "sequencing": 1, "nc_other": 2}
    assert found["indirect reference, recall"] == {"all indirect references": 1, "object": 0}
    assert found["number of steps"] == {"3": 1} and found["compositional steps"] == {"more steps": 2}


def test_agqa_without_flags_and_with_companions(tmp_path):
    found = counts(agqa.SOURCE, read_agqa(tmp_path, {"a": {name: AGQA[name] for name in agqa.FIELDS}}))
    assert found["novel compositions"] == found["indirect reference, recall"] == found["number of steps"] == {}
    companions = {"a": None, "b": "c", "c": "gone", "d": "a"}
    table = read_agqa(tmp_path, {qid: AGQA | {"direct_equiv": of, "steps": 1} for qid, of in companions.items()})
    assert agqa.SOURCE.if_right[0].companions(table).tolist() == [-1, 2, -1, 0]


def test_msrvtt(tmp_path):
    others = [MSRVTT | {"id": 2, "question": "who talks?"}, MSRVTT | {"id": 3, "question": "how many?", "video_id": 7}]
    (tmp_path / "test_qa.json").write_text(json.dumps([MSRVTT, *others]))
    table = msrvttqa.read_questions(tmp_path / "test_qa.json")
    assert [table.qid(index) for index in range(3)] == ["1", "2", "3"]
    assert table.video_ids == ["video7010", "video7"] and table.answer(0) == "couch"
    assert counts(msrvttqa.SOURCE, table)["question word"] == {"what": 1, "who": 1, "how": 1, "when": 0, "where": 0}
