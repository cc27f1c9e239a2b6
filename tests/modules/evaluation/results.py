"""Made-up results: a truth, and predictions of models of different skill."""

import json
from pathlib import Path

import numpy as np

NASTY = "<script>window.pwned = 1</script>"
ANSWERS = ["yes", "no", "two", "red", "a dish", "in the park", "<b>bold</b>", NASTY]


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_answers(path: Path, answers: dict[str, str]) -> Path:
    return write_json(path, [{"qid": qid, "answer": answer} for qid, answer in answers.items()])


def write_truth(path: Path, rows: list[tuple]) -> Path:
    """Questions as (id, question, answer, video, type), in ActivityNet-QA's form."""
    lines = [",".join(map(str, row)) for row in [("qid", "question", "answer", "video_id", "type"), *rows]]
    path.write_text("\n".join(lines) + "\n")
    return path


def make_results(folder: Path, num_videos: int = 24, questions_each: int = 6, skills=(0.4, 0.5, 0.8), seed: int = 0):
    """Writes ``test.csv`` (without type 8) and a prediction file for each skill.

    Half of a model's luck belongs to the video, so that questions about one video are not independent. A question, an
    answer and, if there are several, the last prediction's file name hold a script.

    Returns:
        the truth, the prediction files.
    """
    random = np.random.default_rng(seed)
    videos = [*(f"video{video}" for video in range(num_videos - 1)), "constructor"]  # a word that JavaScript knows
    rows = []
    for video, name in enumerate(videos):
        for number in range(questions_each):
            question = f"what {NASTY} is it" if (video, number) == (0, 0) else f"what is number {number}"
            answer = ANSWERS[int(random.integers(len(ANSWERS)))] if rows else NASTY
            rows.append((f"q{video}_{number}", question, answer, name, (video + number) % 8))
    files = []
    for number, skill in enumerate(skills):
        luck = dict(zip(videos, random.random(num_videos), strict=True))
        predictions = []
        for qid, _, true, video, _ in rows:
            right = 0.5 * luck[video] + 0.5 * random.random() < skill
            others = [answer for answer in ANSWERS if answer != true]
            random.shuffle(others)
            ranked = [true, *others] if right else [others[0], true, *others[1:]]
            predictions.append({"qid": qid, "answer": ranked[0], "answer10": ranked[:3]})
        name = "<script>alert(1)<&" if 0 < number == len(skills) - 1 else f"model{number}"
        files.append(write_json(folder / f"anetqa_by_{name}.json", predictions))
    return write_truth(folder / "test.csv", rows), files
