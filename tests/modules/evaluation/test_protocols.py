"""What the datasets' own protocols define, against plain loops over records; and the official script's mistake."""

import csv
import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest

import eval as evaluation
from datasets.sources import agqa
from preproc.preproc_agqa import preprocess as preprocess_agqa
from preproc.preproc_anetqa import preprocess as preprocess_anetqa

KINDS = {"indirect": "all indirect references", "i_obj": "object", "i_rel": "relationship", "i_act": "action"}


def make_agqa(folder: Path, count: int = 400) -> tuple[dict, list[dict[str, str]]]:
    """Writes data/ through preprocessing, and two prediction files; records of the test split, answers of each file."""
    draw = random.Random(0)

    def record(index):
        structural = draw.choice(agqa.STRUCTURAL)
        return {
            "question": f"what {index}",
            "answer": draw.choice(["yes", "no", "dish"]),
            "video_id": f"V{index % 20}",
            "global": draw.sample(agqa.GLOBAL, 2),
            "semantic": draw.choice(agqa.SEMANTIC),
            "structural": structural,
            "ans_type": "open" if structural == "query" else "binary",
            "steps": draw.randint(1, 4),
            "novel_comp": draw.randint(0, 1),
            "nc_seq": draw.randint(0, 1),
            "more_steps": draw.randint(0, 1),
        }

    train = {f"t{index}": record(index) for index in range(60)}
    test = {f"q{index}": record(index) for index in range(count)}
    for one in test.values():
        kinds = {name: draw.randint(0, 1) for name in ("i_obj", "i_rel", "i_act")}
        indirect = int(any(kinds.values()))
        companion = draw.choice([None, "elsewhere", *(f"q{draw.randrange(count)}" for _ in range(6))])
        one.update(kinds, indirect=indirect, direct_equiv=companion if indirect else None)
    raw = folder / "raw"
    raw.mkdir()
    (raw / "train_balanced.txt").write_text(json.dumps(train))
    (raw / "test_balanced.txt").write_text(json.dumps(test))
    preprocess_agqa(raw, folder / "data")
    files = []
    for number, skill in enumerate((0.5, 0.7)):
        given = {qid: one["answer"] if draw.random() < skill else "x" for qid, one in test.items()}
        (folder / f"p{number}.json").write_text(json.dumps([{"qid": q, "answer": a} for q, a in given.items()]))
        files.append(given)
    return test, files


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Records, answers of each file, and what `eval.py --json` says of it."""
    folder = tmp_path_factory.mktemp("agqa")
    records, files = make_agqa(folder)
    words = ["agqa", *(folder / f"p{number}.json" for number in (0, 1)), folder / "data" / "test.json"]
    outputs = ["--json", folder / "s.json", "--report", folder / "page.html"]
    assert evaluation.main([str(word) for word in [*words, *outputs]]) == 0
    return folder, records, files, json.loads((folder / "s.json").read_text())


def accuracy(records, given, chosen):
    qids = [qid for qid, record in records.items() if chosen(record)]
    right = sum(given[qid] == records[qid]["answer"] for qid in qids)
    return {"questions": len(qids), "correct": right, "accuracy": pytest.approx(100 * right / len(qids))}


def test_indirect_references_kinds_of_answer_and_steps(scored):
    _, records, files, data = scored
    for given, entry in zip(files, data["predictions"], strict=True):
        scores, within = entry["scores"], entry["within"]

        def direct_is_right(record, given=given):
            companion = records.get(record["direct_equiv"])
            return companion is not None and given[record["direct_equiv"]] == companion["answer"]

        def check(score, chosen, given=given):
            assert {**score, "above_prior": None} == {**accuracy(records, given, chosen), "above_prior": None}

        recall, precision = (scores[f"indirect reference, {name}"] for name in ("recall", "precision"))
        assert list(recall)[:4] == list(precision)[:4] == list(KINDS.values())
        for flag, label in KINDS.items():
            check(recall[label], lambda one, flag=flag: one[flag])
            check(precision[label], lambda one, flag=flag: one[flag] and direct_is_right(one))
        assert list(within) == ["binary", "open"]
        for kind, groups in within.items():
            assert set(groups) == set(scores) - {"answer type"}
            check(groups["overall"]["all"], lambda one, kind=kind: one["ans_type"] == kind)
            recalled = groups["indirect reference, recall"]["object"]
            check(recalled, lambda one, kind=kind: one["i_obj"] and one["ans_type"] == kind)
            for label, score in groups["reasoning (global)"].items():
                check(score, lambda one, of=(label, kind): of[0] in one["global"] and one["ans_type"] == of[1])
        for name in ("questions", "correct"):
            parts = [groups["indirect reference, precision"]["action"][name] for groups in within.values()]
            assert sum(parts) == precision["action"][name]
        assert list(scores["number of steps"]) == ["1", "2", "3", "4"]
        for label, score in scores["number of steps"].items():
            check(score, lambda one, label=label: one["steps"] == int(label))


def test_precision_by_hand(tmp_path, capsys):
    """Of three indirect questions two have an equivalent, of which one is answered right."""
    base = {"question": "q", "video_id": "v", "global": [], "semantic": "object", "structural": "logic"}
    base |= {"ans_type": "binary", "indirect": 0, "direct_equiv": None, "answer": "yes"}
    records = {"a": base, "b": base}
    records |= {qid: {**base, "indirect": 1, "direct_equiv": of} for qid, of in (("c", "a"), ("d", "b"), ("e", None))}
    (tmp_path / "test.json").write_text(json.dumps(records))
    given = {"a": "yes", "b": "no", "c": "no", "d": "yes", "e": "yes"}
    (tmp_path / "p.json").write_text(json.dumps([{"qid": q, "answer": a} for q, a in given.items()]))
    assert evaluation.main(["agqa", str(tmp_path / "p.json"), str(tmp_path / "test.json")]) == 0
    lines = [line.split()[3:] for line in capsys.readouterr().out.splitlines() if "all indirect references" in line]
    assert lines == [["3", "66.67", "66.67", "-"], ["2", "0.00", "0.00", "-"]]


def test_page_and_runs_show_them(scored, capsys):
    folder, _, _, data = scored
    page = (folder / "page.html").read_text()
    precision = data["predictions"][1]["scores"]["indirect reference, precision"]["object"]
    assert f"<b>{precision['accuracy']:.2f}</b>" in page
    assert f"open: {data['predictions'][0]['within']['open']['semantic']['object']['accuracy']:.2f}" in page
    words = [f"m={folder / 'p0.json'},{folder / 'p1.json'}", folder / "data" / "test.json"]
    assert evaluation.main(["agqa", *map(str, words), "--json", str(folder / "m.json")]) == 0
    of_runs = [one["scores"]["indirect reference, precision"]["object"]["accuracy"] for one in data["predictions"]]
    mean = json.loads((folder / "m.json").read_text())["models"][0]["scores"]["indirect reference, precision"]["object"]
    assert mean["mean"] == pytest.approx(sum(of_runs) / 2)
    assert f"{sum(of_runs) / 2:.2f} ± " in capsys.readouterr().out


def official_free(types, right):
    """The official script's "Free": its count is over the types in order of first appearance, but the first three."""
    asked = list(Counter(types).values())
    return 100 * sum(ok for kind, ok in zip(types, right, strict=True) if kind >= 3) / sum(asked[3:])


def write_anet(path, types):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["qid", "question", "answer", "video_id", "type"])
        writer.writerows([f"q{index}", "what", "yes", f"v{index % 3}", kind] for index, kind in enumerate(types))


def free_score(predictions, truth, scores):
    assert evaluation.main(["anet", str(predictions), str(truth), "--json", str(scores)]) == 0
    (free,) = json.loads(scores.read_text())["predictions"][0]["scores"]["official group"].values()
    return free


def test_free_has_its_right_denominator(tmp_path):
    types = [3, 8, 3, 0, 1, 2, 4, 8]  # first to appear: 3, 8, 0; the official script takes the others for free: 1, 2, 4
    right = [True, False, True, True, False, False, True, False]
    write_anet(tmp_path / "test.csv", types)
    records = [{"qid": f"q{index}", "answer": "yes" if ok else "no"} for index, ok in enumerate(right)]
    (tmp_path / "p.json").write_text(json.dumps(records))
    free = free_score(tmp_path / "p.json", tmp_path / "test.csv", tmp_path / "s.json")
    assert free == {"questions": 5, "correct": 3, "accuracy": 60.0}
    assert official_free(types, right) == 100.0  # 3 of "3"


@pytest.mark.skipif(
    not {"DEST_ANETQA_RAW", "DEST_ANETQA_VAL_EXAMPLE"} <= set(os.environ),
    reason="set DEST_ANETQA_RAW to the published annotations, DEST_ANETQA_VAL_EXAMPLE to val_example.json",
)
def test_free_of_the_published_example(tmp_path):
    preprocess_anetqa(os.environ["DEST_ANETQA_RAW"], tmp_path)
    example = Path(os.environ["DEST_ANETQA_VAL_EXAMPLE"])
    free = free_score(example, tmp_path / "val.csv", tmp_path / "s.json")
    assert (free["questions"], round(free["accuracy"], 2)) == (12_600, 50.55)
    rows = list(csv.DictReader((tmp_path / "val.csv").open(newline="", encoding="utf-8")))
    given = {record["question_id"]: record["answer"] for record in json.loads(example.read_text())}
    right = [given[row["qid"]] == row["answer"] for row in rows]
    assert round(official_free([int(row["type"]) for row in rows], right), 2) == 75.83


@pytest.mark.parametrize(
    ("record", "shown", "remark"),
    [
        (None, (True, True), None),
        ({"probe": ""}, (True, True), None),
        (
            {"agqa_split": None},
            (False, False),
            "novel compositions and compositional steps are not shown: trained on all",
        ),
        ({"agqa_split": ""}, (True, True), "novel compositions and compositional steps may not be by the protocol"),
        ({"agqa_split": "novel_comp"}, (True, False), "compositional steps is not shown: agqa_split=novel_comp"),
        ({"agqa_split": "more_steps"}, (False, True), "novel compositions is not shown: agqa_split=more_steps"),
    ],
)
def test_what_a_model_was_trained_without_decides_which_splits_are_defined(tmp_path, capsys, record, shown, remark):
    make_agqa(tmp_path, 40)
    if record is not None:
        (tmp_path / "p0.meta.json").write_text(json.dumps(record))
    scores = tmp_path / "scores.json"
    arguments = ["agqa", tmp_path / "p0.json", tmp_path / "data" / "test.json", "--json", scores]
    assert evaluation.main([*map(str, arguments), "--report", str(tmp_path / "page.html")]) == 0
    out, page = capsys.readouterr().out, (tmp_path / "page.html").read_text()
    found = json.loads(scores.read_text())["predictions"][0]["scores"]
    for title, is_shown in zip(("novel compositions", "compositional steps"), shown, strict=True):
        assert [title in found, f">{title}<" in page, f"\n {title} " in out] == [is_shown] * 3
    assert f"\np0: {remark}" in out if remark else "\np0: " not in out
    assert remark is None or f"p0: {remark}" in page
