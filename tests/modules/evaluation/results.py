"""Made-up results: a truth, and predictions of models of different skill. For the tests of the report."""

import csv
import json
from pathlib import Path

import numpy as np

ANSWERS = ["yes", "no", "two", "red", "a dish", "in the park", "<b>bold</b>"]
NASTY = "<script>window.pwned = 1</script>"


def make_results(folder: Path, num_videos: int = 24, questions_each: int = 6, skills=(0.4, 0.5, 0.8), seed: int = 0):
    """Writes ``test.csv`` (ActivityNet-QA's form, without type 8) and a prediction file for each skill.

    Half of a model's luck belongs to the video, so that questions about one video are not independent. A question, an
    answer and, if there are several, the last prediction's file name hold a script.

    Returns:
        the truth, the prediction files.
    """
    random = np.random.default_rng(seed)
    answers = [*ANSWERS, NASTY]
    rows = [
        {
            "qid": f"q{video}_{number}",
            "question": f"what {NASTY} is it" if (video, number) == (0, 0) else f"what is number {number}",
            "answer": answers[int(random.integers(len(answers)))],
            "video_id": "constructor" if video == num_videos - 1 else f"video{video}",  # a word that JavaScript knows
            "type": (video + number) % 8,
        }
        for video in range(num_videos)
        for number in range(questions_each)
    ]
    rows[0]["answer"] = NASTY
    with (folder / "test.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    files = []
    for number, skill in enumerate(skills):
        luck = dict(zip({row["video_id"]: None for row in rows}, random.random(num_videos), strict=True))
        predictions = []
        for row in rows:
            right = 0.5 * luck[row["video_id"]] + 0.5 * random.random() < skill
            others = [answer for answer in answers if answer != row["answer"]]
            random.shuffle(others)
            ranked = [row["answer"], *others] if right else [others[0], row["answer"], *others[1:]]
            predictions.append({"qid": row["qid"], "answer": ranked[0], "answer10": ranked[:3]})
        last = len(skills) > 1 and number == len(skills) - 1
        name = "<script>alert(1)<&" if last else f"model{number}"
        files.append(folder / f"anetqa_by_{name}.json")
        files[-1].write_text(json.dumps(predictions))
    return folder / "test.csv", files
