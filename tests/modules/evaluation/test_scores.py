"""Scores equal a plain loop's, and files that do not fit the truth are named."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.sources import agqa, anetqa, msrvttqa
from modules.evaluation.scores import evaluate
from modules.evaluation.tables.scores import score_table

ANSWERS = ["yes", "no", "a dish", "two"]
FLAGS = ("novel_comp", "nc_seq", "i_obj", "more_steps")

records = st.fixed_dictionaries(
    {
        "answer": st.sampled_from(ANSWERS),
        "global": st.lists(st.sampled_from([*agqa.GLOBAL[:5], "unheard-of"]), max_size=4),
        "semantic": st.sampled_from(agqa.SEMANTIC[:2]),
        "structural": st.sampled_from(agqa.STRUCTURAL),
        "ans_type": st.sampled_from(agqa.ANSWER_TYPES[:1]),
    },
    optional={name: st.sampled_from([0, 1, None]) for name in FLAGS},
)
worlds = st.lists(st.tuples(records, st.sampled_from([*ANSWERS, "other"])), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("eval")


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_true_answers_in_and_outside_the_training_vocabulary(tmp_path):
    """Told apart as soon as a model answers what training lacks."""
    rows = {"train": ["red", "sea"], "test": ["red", "sea", "mauve", "teal", "teal"]}
    for split, answers in rows.items():
        lines = [f"{split}{index},what,{answer},v,8" for index, answer in enumerate(answers)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["qid,question,answer,video_id,type", *lines]) + "\n")
    training = anetqa.read_questions(tmp_path / "train.csv")
    for answered, expected in (
        (["red", "red", "red", "red", "red"], None),
        (["red", "teal", "mauve", "red", "sea"], {"in the training vocabulary": (2, 1), "outside it": (3, 1)}),
    ):
        records = [{"qid": f"test{index}", "answer": answer} for index, answer in enumerate(answered)]
        path = write(tmp_path / "p.json", records)
        groups = evaluate(anetqa.SOURCE, [path], tmp_path / "test.csv", training=training).groups
        found = groups.get("true answer")
        assert expected == (found and {one.label: (one.questions, one.scores[0].correct) for one in found})


def naive_scores(truth, predictions):
    """title -> label -> [questions, correct], question by question. Categories are found as they come."""
    answers = {prediction["qid"]: prediction["answer"] for prediction in predictions}
    flag_titles = {
        "novel compositions": {name: agqa.NOVEL_COMPOSITION[name] for name in ("novel_comp", "nc_seq")},
        "indirect reference, recall": {"i_obj": "object"},
        "compositional steps": {"more_steps": "more steps"},
    }
    scores = {}

    def count(title, label, hit):
        entry = scores.setdefault(title, {}).setdefault(label, [0, 0])
        entry[0] += 1
        entry[1] += hit

    for qid, record in truth.items():
        hit = answers[qid] == record["answer"]
        for label in set(record["global"]):
            count("reasoning (global)", label, hit)
        for title, name in (("semantic", "semantic"), ("structural", "structural"), ("answer type", "ans_type")):
            count(title, record[name], hit)
        for title, names in flag_titles.items():
            for name, label in names.items():
                if record.get(name):
                    count(title, label, hit)
        count("overall", "all", hit)
    return scores


@settings(max_examples=60, deadline=None)
@given(world=worlds, shuffle=st.randoms(use_true_random=False))
def test_agqa_equals_a_naive_loop(folder, world, shuffle):
    truth = {f"q{i}": {"question": "q?", "video_id": "v", **record} for i, (record, _) in enumerate(world)}
    predictions = [{"qid": f"q{index}", "answer": answer} for index, (_, answer) in enumerate(world)]
    shuffle.shuffle(predictions)
    truth_file = folder / "agqa.json"
    (folder / ".agqa.json.arrow").unlink(missing_ok=True)
    report = evaluate(agqa.SOURCE, [write(folder / "p.json", predictions)], write(truth_file, truth))
    expected = naive_scores(truth, predictions)
    scores = report.as_data()["predictions"][0]["scores"]
    for title, categories in scores.items():
        for label, score in categories.items():
            questions, correct = expected.get(title, {}).get(label, [0, 0])
            assert (score["questions"], score["correct"]) == (questions, correct), (title, label)
            assert score["accuracy"] == (pytest.approx(100 * correct / questions) if questions else None)
    for title, categories in expected.items():
        assert set(categories) <= set(scores[title])
    assert set(agqa.GLOBAL) <= set(scores["reasoning (global)"])


@settings(max_examples=60, deadline=None)
@given(
    world=st.lists(
        st.tuples(st.sampled_from(ANSWERS), st.integers(0, 5), st.lists(st.sampled_from([*ANSWERS, "x"]), max_size=4)),
        min_size=1,
        max_size=20,
    )
)
def test_anetqa_equals_a_naive_loop(folder, world):
    lines = [f"q{index},what,{answer},v,{kind}" for index, (answer, kind, _) in enumerate(world)]
    truth_file = folder / "anet.csv"
    (folder / ".anet.csv.arrow").unlink(missing_ok=True)
    truth_file.write_text("\n".join(["qid,question,answer,video_id,type", *lines]))
    predictions = [
        {"qid": f"q{index}", "answer": best[0] if best else "none", "answer10": best}
        for index, (_, _, best) in enumerate(world)
    ]
    report = evaluate(anetqa.SOURCE, [write(folder / "p.json", predictions)], truth_file)
    scores = report.as_data()["predictions"][0]["scores"]
    for kind, label in anetqa.QUESTION_TYPES.items():
        of_kind = [(answer, best) for answer, number, best in world if str(number) == kind]
        first = sum(best[:1] == [answer] for answer, best in of_kind)
        among = sum(answer in best for answer, best in of_kind)
        shares = [pytest.approx(100 * hits / len(of_kind)) if of_kind else None for hits in (first, among)]
        names = ("questions", "correct", "accuracy", "accuracy@10")
        assert scores["type"][label] == dict(zip(names, [len(of_kind), first, *shares], strict=True))


@pytest.fixture
def scored(tmp_path):
    """Evaluates records, or what `changed` makes of right ones, against a truth of four questions."""
    rows = ["a,what,red,v1,4", "b,where,sea,v1,6", "c,what,dog,v2,5", "d,what,cat,v2,5"]
    (tmp_path / "test.csv").write_text("\n".join(["qid,question,answer,video_id,type", *rows]) + "\n")
    right = [{"qid": row[0], "answer": row.split(",")[2], "answer10": [row.split(",")[2], "x"]} for row in rows]

    def run(changed=lambda right: right, names=("p",), **options):
        (tmp_path / "a").mkdir(exist_ok=True)
        files = [write(tmp_path / f"{name}.json", changed(right)) for name in names]
        return evaluate(anetqa.SOURCE, files, tmp_path / "test.csv", **options)

    return run


def test_names_of_predictions_are_distinct(scored, tmp_path):
    assert scored(names=["a/p", "p"]).names == [f"{tmp_path / name}.json" for name in ("a/p", "p")]
    assert scored(names=["p", "p"]).names == [f"{tmp_path / 'p'}.json ({number})" for number in (1, 2)]


@pytest.mark.parametrize(
    ("names", "shown"),
    [(["anetqa_by_mean", "anetqa_by_with_trm"], ["mean\naccuracy", "with_trm\naccuracy"]), (["p"], ["accuracy"])],
)
def test_a_table_names_what_differs(scored, names, shown):
    headers = [str(column.header) for column in score_table(scored(names=names)).columns]
    assert [header for header in headers if header.endswith("accuracy")] == shown


def test_outcomes_of_single_questions(scored):
    report = scored(lambda right: [right[0], {**right[1], "answer": "x"}, *right[2:]])
    np.testing.assert_array_equal(report.outcomes[0].correct, [True, False, True, True])
    np.testing.assert_array_equal(report.outcomes[0].correct_at_k, [True] * 4)


A = {"qid": "a", "answer": "b"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r'is not a list of {"qid", "answer"} records; is it a file of predictions\?'),
        ([1], "is not a list of"),
        ([], "has no predictions"),
        ([{"qid": "a"}], "prediction 0: 'answer' is None"),
        ([{"answer": "a"}], "prediction 0: 'qid' is None"),
        ([A, {"qid": "c", "answer": None}], "prediction 1: 'answer' is None, not text"),
        ([{"qid": 3, "answer": "b"}], "prediction 0: 'qid' is 3, not text"),
        ([{"qid": "a", "answer": "\ud800"}], "a value of 'answer' is not Unicode text"),
        ([{**A, "answer10": "c"}], "prediction 0: 'answer10' is 'c', not a list of texts"),
        ([{**A, "answer10": [1]}], r"prediction 0: 'answer10' is \[1\], not a list of texts"),
        ([{**A, "answer10": ["c"]}, {**A, "qid": "b"}], "prediction 1: 'answer10' is None"),
        ([{**A, "qid": f"z{index}"} for index in range(9)], r"9 unknown \('z0', 'z1', 'z2', 'z3', 'z4', …\)"),
        ([A, A], r"truth: 1 duplicate \('a'\)$"),
    ],
)
def test_bad_prediction_files_are_named(scored, tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        scored(lambda _: content, allow_missing=True)
    assert str(tmp_path / "p.json") in str(caught.value)


def test_a_third_data_set_is_evaluated_from_its_published_file(tmp_path):
    base = {"category_id": 14, "video_id": 7010}
    truth = [
        {**base, "answer": "couch", "id": 1, "question": "what is it?"},
        {**base, "answer": "two", "id": 2, "question": "how many are there?"},
    ]
    predictions = [{"qid": "1", "answer": "couch"}, {"qid": "2", "answer": "three"}]
    files = write(tmp_path / "p.json", predictions), write(tmp_path / "test_qa.json", truth)
    scores = evaluate(msrvttqa.SOURCE, files[:1], files[1]).as_data()["predictions"][0]["scores"]
    accuracies = {word: score["accuracy"] for word, score in scores["question word"].items()}
    assert accuracies == {"what": 100.0, "who": None, "how": 0.0, "when": None, "where": None}
