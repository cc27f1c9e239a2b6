import json

import pytest

from datasets.errors import InputError
from datasets.sources import agqa, msrvttqa, nextqa, star
from tests.kit.paths import FIXTURES

from .test_messages import AGQA, MSRVTT


def counts(source, table):
    return {
        breakdown.title: {label: int(mask.sum()) for label, mask in breakdown.members(table).items()}
        for breakdown in source.breakdowns
    }


def test_agqa(tmp_path):
    one = AGQA | {"global": ["exists", "obj-rel"], "novel_comp": 0, "nc_other": 1, "i_obj": None, "more_steps": True}
    other = {**one, "indirect": 1, "steps": 3, "global": ["sequencing", "brand-new"], "semantic": "object"}
    del other["nc_seq"]
    (tmp_path / "test.json").write_text(json.dumps({"a": one, "b": other}))
    found = counts(agqa.SOURCE, agqa.read_questions(tmp_path / "test.json"))
    asked = dict.fromkeys(("exists", "obj-rel", "sequencing", "brand-new"), 1)
    assert found["reasoning (global)"] == dict.fromkeys(agqa.GLOBAL, 0) | asked
    assert found["semantic"] == {"object": 1, "relation": 1, "action": 0}
    assert found["novel compositions"] == {"all novel compositions": 0, "sequencing": 1, "nc_other": 2}
    assert found["indirect reference, recall"] == {"all indirect references": 1, "object": 0}
    assert found["number of steps"] == {"3": 1} and found["compositional steps"] == {"more steps": 2}


def test_msrvtt(tmp_path):
    others = [MSRVTT | {"id": 2, "question": "who talks?"}, MSRVTT | {"id": 3, "question": "how many?", "video_id": 7}]
    (tmp_path / "test_qa.json").write_text(json.dumps([MSRVTT, *others]))
    table = msrvttqa.read_questions(tmp_path / "test_qa.json")
    assert table.video_ids == ["video7010", "video7"] and table.answer(0) == "couch"
    assert counts(msrvttqa.SOURCE, table)["question word"] == {"what": 1, "who": 1, "how": 1, "when": 0, "where": 0}


NEXTQA = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
ROW = "290,369,640,480,why,{right},6,{kind},x,y,{choice},u,v\n"
STAR = {"question_id": "Interaction_T1", "question": "Which?", "video_id": "6H78U", "answer": "d", "start": 1, "end": 9}
STAR["choices"] = CHOICES = [{"choice_id": number, "choice": choice} for number, choice in enumerate("abcd")]


def read_nextqa(tmp_path, places='{"290": "0101/290"}', **changes):
    row = ROW.format(**{"right": 1, "kind": "CW", "choice": "z", **changes})
    (tmp_path / "val.csv").write_text(NEXTQA + ROW.format(right=0, kind="TN", choice="z").replace(",6,", ",5,") + row)
    (tmp_path / nextqa.MAP).write_text(places)
    return nextqa.read_questions(tmp_path / "val.csv")


def read_star(tmp_path, **changes):
    (tmp_path / "val.json").write_text(json.dumps([STAR, STAR | {"question_id": "Sequence_T2"} | changes]))
    return star.read_questions(tmp_path / "val.json")


def test_nextqa(tmp_path):
    table = nextqa.read_questions(FIXTURES / "nextqa" / "val.csv")
    assert (table.qid(0), table.video_ids[0], table.answer(0)) == ("4010069381_6", "4010069381", "roll the handle")
    assert table.choices(0)[:2] == ["roll the handle", "tap their feet"] and len(table.choices(0)) == 5
    found = counts(nextqa.SOURCE, table)
    groups = {label: number for label, number in found["official group"].items() if label[1] == ":"}
    assert sum(found["type"].values()) == sum(groups.values()) == len(table) == 101
    table = read_nextqa(tmp_path, '{"290": "0101/other"}', right="")  # the map names frames and features
    assert (table.video_ids, table.answer(0), table.answer(1)) == (["other"], "x", "")


def test_star(tmp_path):
    table = read_star(tmp_path, choices=CHOICES[::-1])
    assert (table.choices(0), table.choices(1)) == (list("abcd"), list("dcba"))
    assert (table.answer(1), table.video_ids) == ("d", ["6H78U"])
    none = dict.fromkeys(star.QUESTION_TYPES, 0)
    assert counts(star.SOURCE, table)["type"] == none | {"Interaction": 1, "Sequence": 1}
    (tmp_path / "test.json").write_text(json.dumps([{key: STAR[key] for key in STAR if key != "answer"}]))
    assert star.read_questions(tmp_path / "test.json").answer(0) == ""


@pytest.mark.parametrize(
    ("read", "changes", "message"),
    [
        (read_nextqa, {"choice": "  "}, r"val\.csv, line 3: 'choice 2' is empty"),
        (read_nextqa, {"right": 5}, "line 3: the right choice is '5'; there are 0 to 4"),
        (read_nextqa, {"places": "{}"}, r"val\.csv, line 2: map_vid_vidorID\.json does not have the video '290'"),
        (read_star, {"choices": CHOICES[1:]}, r"val\.json, item 1: no 'choice 3'"),
        (read_star, {"choices": CHOICES * 2}, "item 1: 8 choices; the first row has 4"),
    ],
)
def test_a_wrong_row_of_choices_is_named(tmp_path, read, changes, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, **changes)
