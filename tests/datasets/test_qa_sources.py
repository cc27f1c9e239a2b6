"""The readers of the question-answering datasets, each on a small file in its format."""

import json

import pytest

from datasets.errors import InputError
from datasets.sources import agqa, anetqa, msrvttqa

HEADER = "qid,question,answer,video_id,type\n"


def members(source, table):
    """title -> label -> number of questions."""
    return {
        breakdown.title: {label: int(mask.sum()) for label, mask in breakdown.members(table).items()}
        for breakdown in source.breakdowns
    }


class TestActivityNet:
    def test_reads_what_is_there(self, tmp_path):
        path = tmp_path / "test.csv"
        path.write_text(HEADER + 'v_a_1,"is it red\n",NA,a,3\nv_b_1,what,null,b,8\n')
        table = anetqa.read_questions(path)
        assert table.answer(0) == "NA"
        assert table.answer(1) == "null"
        counts = members(anetqa.SOURCE, table)["type"]
        assert list(counts) == list(anetqa.QUESTION_TYPES.values())
        assert {label: count for label, count in counts.items() if count} == {"Yes/No": 1, "Other": 1}

    @pytest.mark.parametrize("kind", ["9", "-1", "x", "", "3.0"])
    def test_an_unknown_type_is_named(self, tmp_path, kind):
        path = tmp_path / "test.csv"
        path.write_text(f"{HEADER}a,what,b,c,{kind}\n")
        with pytest.raises(InputError, match=rf"test\.csv, line 2: the type is {kind!r}; there are 0 to 8"):
            anetqa.read_questions(path)

    @pytest.mark.parametrize(("content", "message"), [("", "has no column"), (HEADER, "has no questions")])
    def test_an_empty_file_is_an_error(self, tmp_path, content, message):
        path = tmp_path / "test.csv"
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            anetqa.read_questions(path)


AGQA_RECORD = {
    "question": "Did they hold a dish?",
    "answer": "yes",
    "video_id": "YSKX3",
    "global": ["exists", "obj-rel"],
    "semantic": "relation",
    "structural": "verify",
    "ans_type": "binary",
    "novel_comp": 0,
    "nc_seq": 1,
    "nc_other": 1,
    "i_obj": None,
    "more_steps": True,
    "direct_equiv": None,
}


class TestAGQA:
    def read(self, tmp_path, records):
        path = tmp_path / "test.json"
        path.write_text(json.dumps(records))
        return agqa.read_questions(path)

    def test_breakdowns(self, tmp_path):
        other = {**AGQA_RECORD, "indirect": 1, "steps": 3, "global": ["sequencing", "brand-new"], "semantic": "object"}
        del other["nc_seq"]
        counts = members(agqa.SOURCE, self.read(tmp_path, {"a": AGQA_RECORD, "b": other}))
        assert counts["reasoning (global)"] == {
            **dict.fromkeys(agqa.GLOBAL, 0),
            "exists": 1,
            "obj-rel": 1,
            "sequencing": 1,
            "brand-new": 1,
        }
        assert counts["semantic"] == {"object": 1, "relation": 1, "action": 0}
        assert counts["answer type"] == {"binary": 2, "open": 0}
        assert counts["novel compositions"] == {"all novel compositions": 0, "sequencing": 1, "nc_other": 2}
        assert counts["indirect reference, recall"] == {"all indirect references": 1, "object": 0}
        assert counts["number of steps"] == {"3": 1}
        assert counts["compositional steps"] == {"more steps": 2}

    def test_companions_are_found_by_id(self, tmp_path):
        ids = {"a": None, "b": "c", "c": "gone", "d": "a"}
        table = self.read(tmp_path, {qid: {**AGQA_RECORD, "direct_equiv": of} for qid, of in ids.items()})
        assert agqa.SOURCE.if_right[0].companions(table).tolist() == [-1, 2, -1, 0]

    def test_flags_are_optional(self, tmp_path):
        record = {name: AGQA_RECORD[name] for name in agqa.FIELDS}
        counts = members(agqa.SOURCE, self.read(tmp_path, {"a": record}))
        assert counts["novel compositions"] == counts["indirect reference, recall"] == {}
        assert counts["number of steps"] == {}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"question": None}, "'question' is None, not text"),
            ({"semantic": 3}, "'semantic' is 3, not text"),
            ({"global": "exists"}, "'global' is 'exists', not a list of texts"),
            ({"global": [None]}, r"'global' is \[None\], not a list of texts"),
            ({"steps": "3"}, "'steps' is '3', not a number"),
            ({"direct_equiv": 3}, "'direct_equiv' is 3, not a question id or null"),
            ({"nc_seq": "yes"}, "'nc_seq' is 'yes', not 0 or 1"),
            ({"video_id": "../x"}, r"the video id '\.\./x' cannot be a file name"),
        ],
    )
    def test_a_wrong_value_is_named(self, tmp_path, change, message):
        with pytest.raises(InputError, match=rf"test\.json, record 'q': {message}"):
            self.read(tmp_path, {"q": {**AGQA_RECORD, **change}})

    @pytest.mark.parametrize("name", agqa.FIELDS)
    def test_a_missing_field_is_named(self, tmp_path, name):
        record = {key: value for key, value in AGQA_RECORD.items() if key != name}
        with pytest.raises(InputError, match=rf"test\.json, record 'q': no '{name}'"):
            self.read(tmp_path, {"q": record})


MSRVTT_RECORDS = [
    {"answer": "couch", "category_id": 14, "id": 158581, "question": "What is a man sitting on?", "video_id": 7010},
    {"answer": "woman", "category_id": 9, "id": 158582, "question": "who is talking?", "video_id": 7010},
    {"answer": "two", "category_id": 9, "id": 158583, "question": "how many people are there?", "video_id": 7011},
]


class TestMSRVTT:
    def read(self, tmp_path, records):
        path = tmp_path / "test_qa.json"
        path.write_text(json.dumps(records))
        return msrvttqa.read_questions(path)

    def test_reads_the_published_format(self, tmp_path):
        table = self.read(tmp_path, MSRVTT_RECORDS)
        assert [table.qid(index) for index in range(3)] == ["158581", "158582", "158583"]
        assert table.video_ids == ["video7010", "video7011"]
        assert table.answer(0) == "couch"
        counts = members(msrvttqa.SOURCE, table)["question word"]
        assert counts == {"what": 1, "who": 1, "how": 1, "when": 0, "where": 0}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"id": "a"}, "item 1: 'id' is 'a', not a number"),
            ({"video_id": None}, "item 1: 'video_id' is None, not a number"),
            ({"question": 3}, "item 1: 'question' is 3, not text"),
            ({"id": 158581}, "occur more than once: '158581'"),
        ],
    )
    def test_a_wrong_value_is_named(self, tmp_path, change, message):
        records = [MSRVTT_RECORDS[0], {**MSRVTT_RECORDS[1], **change}]
        with pytest.raises(InputError, match=message):
            self.read(tmp_path, records)

    def test_a_file_of_another_data_set(self, tmp_path):
        with pytest.raises(InputError, match="is not a JSON list of records"):
            self.read(tmp_path, {"a": {}})
