"""What the datasets' own protocols define, against plain loops over records."""

import random
from pathlib import Path

import pytest

from datasets.sources import agqa
from preproc.preproc_agqa import preprocess

from .results import write_answers, write_json

KINDS = {"indirect": "all indirect references", "i_obj": "object", "i_rel": "relationship", "i_act": "action"}
FIELDS = {"semantic": "semantic", "structural": "structural", "answer type": "ans_type", "number of steps": "steps"}
FLAGS = {name: ("novel compositions", agqa.NOVEL_COMPOSITION[name]) for name in ("novel_comp", "nc_seq")}
FLAGS["more_steps"] = "compositional steps", "more steps"


def make_agqa(folder: Path, count: int = 400) -> tuple[dict, list[dict[str, str]]]:
    """Writes data/ through preprocessing, and two prediction files; records of the test split, answers of each file."""
    draw = random.Random(0)

    def record(index):
        flags = ("novel_comp", "nc_seq", "more_steps", "i_obj", "i_rel", "i_act")
        one = {name: draw.randint(0, 1) for name in flags} | {"steps": draw.randint(1, 4), "question": f"what {index}"}
        choices = {"semantic": agqa.SEMANTIC, "structural": agqa.STRUCTURAL, "answer": ["yes", "no", "dish"]}
        one |= {name: draw.choice(values) for name, values in choices.items()}
        one |= {
            "video_id": f"V{index % 20}",
            "global": draw.sample([*agqa.GLOBAL[:5], "unheard-of"], 2),
            "direct_equiv": None,
        }
        one |= {"indirect": max(one[name] for name in flags[3:])}
        if one["indirect"]:
            one["direct_equiv"] = draw.choice([None, "elsewhere", *(f"q{draw.randrange(count)}" for _ in range(6))])
        for name in flags if index == 0 else ():  # as in files without them
            del one[name]
        return {**one, "ans_type": "open" if one["structural"] == "query" else "binary"}

    test = {f"q{index}": record(index) for index in range(count)}
    (folder / "raw").mkdir()
    write_json(folder / "raw" / "train_balanced.txt", {f"t{index}": record(index) for index in range(60)})
    write_json(folder / "raw" / "test_balanced.txt", test)
    preprocess(folder / "raw", folder / "data")
    files = [
        {qid: one["answer"] if draw.random() < skill else "x" for qid, one in test.items()} for skill in (0.5, 0.7)
    ]
    for number, given in enumerate(files):
        write_answers(folder / f"p{number}.json", given)
    return test, files


def test_indirect_references_kinds_of_answer_and_steps(tmp_path, score):
    records, files = make_agqa(tmp_path)
    paths = [tmp_path / "p0.json", tmp_path / "p1.json", tmp_path / "data" / "test.json"]
    _, data = score("agqa", *paths, "--report", tmp_path / "page.html")
    for given, entry in zip(files, data["predictions"], strict=True):
        scores, within = entry["scores"], entry["within"]

        def direct_is_right(record, given=given):
            companion = records.get(record["direct_equiv"])
            return companion is not None and given[record["direct_equiv"]] == companion["answer"]

        def check(score, chosen, given=given):
            right = [given[qid] == one["answer"] for qid, one in records.items() if chosen(one)]
            expected = [len(right), sum(right), pytest.approx(100 * sum(right) / len(right)) if right else None]
            assert [score[name] for name in ("questions", "correct", "accuracy")] == expected

        recall, precision = (scores[f"indirect reference, {name}"] for name in ("recall", "precision"))
        assert list(recall)[:4] == list(precision)[:4] == list(KINDS.values())
        for flag, label in KINDS.items():
            check(recall[label], lambda one, flag=flag: one.get(flag))
            check(precision[label], lambda one, flag=flag: one.get(flag) and direct_is_right(one))
        assert list(within) == ["binary", "open"]
        for kind, groups in within.items():
            assert set(groups) == set(scores) - {"answer type"}
            check(groups["overall"]["all"], lambda one, kind=kind: one["ans_type"] == kind)
            indirect = groups["indirect reference, precision"]["action"]
            check(
                indirect, lambda one, kind=kind: one.get("i_act") and direct_is_right(one) and one["ans_type"] == kind
            )
            for label, one_score in groups["reasoning (global)"].items():
                check(one_score, lambda one, of=(label, kind): of[0] in one["global"] and one["ans_type"] == of[1])
        for title, name in FIELDS.items():
            assert {str(one[name]) for one in records.values()} <= scores[title].keys()
            for label, one_score in scores[title].items():
                check(one_score, lambda one, of=(name, label): str(one[of[0]]) == of[1])
        for flag, (title, label) in FLAGS.items():
            check(scores[title][label], lambda one, flag=flag: one.get(flag))
        assert {*agqa.GLOBAL, "unheard-of"} == scores["reasoning (global)"].keys()

    page, runs = (tmp_path / "page.html").read_text(), data["predictions"]
    of_runs = [one["scores"]["indirect reference, precision"]["object"]["accuracy"] for one in runs]
    assert f"<b>{of_runs[1]:.2f}</b>" in page
    assert f"open: {runs[0]['within']['open']['semantic']['object']['accuracy']:.2f}" in page
    out, data = score("agqa", f"m={paths[0]},{paths[1]}", paths[2])
    mean = data["models"][0]["scores"]["indirect reference, precision"]["object"]["mean"]
    assert mean == pytest.approx(sum(of_runs) / 2) and f"{mean:.2f} ± " in out


BOTH = "novel compositions and compositional steps"


@pytest.mark.parametrize(
    ("record", "shown", "remark"),
    [
        (None, (True, True), None),
        ({"probe": ""}, (True, True), None),
        ({"agqa_split": None}, (False, False), f"{BOTH} are not shown: trained on all"),
        ({"agqa_split": ""}, (True, True), f"{BOTH} may not be by the protocol"),
        ({"agqa_split": "novel_comp"}, (True, False), "compositional steps is not shown: agqa_split=novel_comp"),
        ({"agqa_split": "more_steps"}, (False, True), "novel compositions is not shown: agqa_split=more_steps"),
    ],
)
def test_what_a_model_was_trained_without_decides_which_splits_are_defined(tmp_path, score, record, shown, remark):
    make_agqa(tmp_path, 40)
    if record is not None:
        write_json(tmp_path / "p0.meta.json", record)
    words = ["agqa", tmp_path / "p0.json", tmp_path / "data" / "test.json", "--report", tmp_path / "page.html"]
    out, data = score(*words)
    page = (tmp_path / "page.html").read_text()
    for title, is_shown in zip(("novel compositions", "compositional steps"), shown, strict=True):
        found = [title in data["predictions"][0]["scores"], f">{title}<" in page, f"\n {title} " in out]
        assert found == [is_shown] * 3
    assert f"\np0: {remark}" in out if remark else "\np0: " not in out
    assert remark is None or f"p0: {remark}" in page
