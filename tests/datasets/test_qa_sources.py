"""The question-answering datasets, each on a small file in its format; test_messages.py has what is wrong with one."""

import json
import pickle

import pytest

from datasets.errors import InputError
from datasets.sources import QA_SOURCES, agqa, anetqa, get_qa_source, msrvttqa, nextqa, star
from tests.kit.paths import FIXTURES

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


NEXTQA_HEADER = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
NEXTQA_ROW = "290,369,640,480,why,{right},6,{kind},x,y,{choice},u,v\n"


class TestNextQA:
    def read(self, tmp_path, **changes):
        row = NEXTQA_ROW.format(**{"right": 1, "kind": "CW", "choice": "z", **changes})
        (tmp_path / "val.csv").write_text(NEXTQA_HEADER + NEXTQA_ROW.format(right=0, kind="TN", choice="z") + row)
        (tmp_path / nextqa.MAP).write_text(json.dumps({"290": "0101/290"}))
        return nextqa.read_questions(tmp_path / "val.csv")

    def test_reads_the_published_format(self):
        table = nextqa.read_questions(FIXTURES / "nextqa" / "val.csv")
        assert (table.qid(0), table.video_ids[table.video(0)]) == ("4010069381_6", "4010069381")
        assert table.choices(0) == [
            "roll the handle",
            "tap their feet",
            "strum the string",
            "hit with sticks",
            "pat with hand",
        ]
        assert table.answer(0) == "roll the handle"
        assert sum(counts(nextqa.SOURCE, table)["type"].values()) == len(table) == 101
        groups = counts(nextqa.SOURCE, table)["official group"]
        assert groups["C: causal"] + groups["T: temporal"] + groups["D: descriptive"] == 101

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"choice": ""}, r"val\.csv, line 3: 'choice 2' is empty"),
            ({"choice": "  "}, r"val\.csv, line 3: 'choice 2' is empty"),
            ({"right": 5}, r"val\.csv, line 3: the right choice is '5'; there are 0 to 4"),
            ({"right": "x"}, r"val\.csv, line 3: the right choice is 'x'; there are 0 to 4"),
            ({"kind": "XX"}, r"val\.csv, line 3: the type is 'XX'; there are CW, CH"),
            ({"choice": "z,more"}, r"val\.csv, line 3: 14 fields instead of 13"),
        ],
    )
    def test_a_wrong_row_is_named(self, tmp_path, changes, message):
        with pytest.raises(InputError, match=message):
            self.read(tmp_path, **changes)

    def test_a_video_without_mapping(self, tmp_path):
        (tmp_path / "val.csv").write_text(NEXTQA_HEADER + NEXTQA_ROW.format(right=0, kind="TN", choice="z"))
        with pytest.raises(InputError, match=r"map_vid_vidorID\.json does not exist"):
            nextqa.read_questions(tmp_path / "val.csv")
        for places, said in (
            ({}, r"val\.csv, line 2: map_vid_vidorID\.json does not have the video '290'"),
            ({"290": 5}, r"val\.csv, line 2: map_vid_vidorID\.json has 5 for the video '290'"),
            (["290"], r"map_vid_vidorID\.json is not a JSON object"),
        ):
            (tmp_path / nextqa.MAP).write_text(json.dumps(places))
            with pytest.raises(InputError, match=said):
                nextqa.read_questions(tmp_path / "val.csv")

    def test_the_map_names_frames_and_features(self, tmp_path):
        (tmp_path / "val.csv").write_text(NEXTQA_HEADER + NEXTQA_ROW.format(right="", kind="TN", choice="z"))
        (tmp_path / nextqa.MAP).write_text('{"290": "0101/other"}')
        table = nextqa.read_questions(tmp_path / "val.csv")
        assert (table.video_ids, table.answer(0)) == (["other"], "")


STAR_RECORD = {
    "question_id": "Interaction_T1_13",
    "question": "Which object was tidied up by the person?",
    "video_id": "6H78U",
    "start": 11.1,
    "end": 19.6,
    "answer": "The closet/cabinet.",
    "choices": [
        {"choice_id": number, "choice": choice}
        for number, choice in enumerate(["The blanket.", "The table.", "The clothes.", "The closet/cabinet."])
    ],
}


class TestSTAR:
    def read(self, tmp_path, *changes):
        path = tmp_path / "STAR_val.json"
        others = [{**STAR_RECORD, "question_id": f"Sequence_T2_{number}", **one} for number, one in enumerate(changes)]
        path.write_text(json.dumps([STAR_RECORD, *others]))
        return star.read_questions(path)

    def test_reads_the_published_format(self, tmp_path):
        table = self.read(tmp_path, {"choices": STAR_RECORD["choices"][::-1]})
        assert table.choices(1) == table.choices(0)[::-1]
        assert (table.answer(1), table.video_ids) == ("The closet/cabinet.", ["6H78U"])
        assert counts(star.SOURCE, table)["type"] == {
            **dict.fromkeys(star.QUESTION_TYPES, 0),
            "Interaction": 1,
            "Sequence": 1,
        }

    def test_the_test_split_has_no_answers(self, tmp_path):
        (tmp_path / "x.json").write_text(json.dumps([{k: v for k, v in STAR_RECORD.items() if k != "answer"}]))
        assert star.read_questions(tmp_path / "x.json").answer(0) == ""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"choices": STAR_RECORD["choices"][1:]}, "item 1: no 'choice 3'"),
            ({"choices": STAR_RECORD["choices"] * 2}, "item 1: 8 choices; the first row has 4"),
            ({"choices": [{"choice_id": 0}]}, "item 1: 'choices' is no list of choices"),
            ({"choices": None}, "item 1: 'choices' is no list of choices"),
            ({"answer": "The sofa."}, "item 1: the answer 'The sofa.' is none of its choices"),
            ({"answer": "3"}, "item 1: the answer '3' is none of its choices"),
            ({"video_id": 3}, "item 1: 'video_id' is 3, not text"),
        ],
    )
    def test_a_wrong_record_is_named(self, tmp_path, change, message):
        with pytest.raises(InputError, match=message):
            self.read(tmp_path, change)
