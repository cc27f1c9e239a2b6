"""The page: its figures are those of eval.py, nothing in the data becomes markup, and what is refused."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

import eval as evaluation
from datasets.sources import anetqa
from modules.evaluation.page import page

from ..results import NASTY, write_json

STATIC = Path(page.__file__).parent
TITLES = ["Accuracy by type of question", "Accuracy by answer", "Frequent answers taken for each other"]


def text_of(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


class Page(HTMLParser):
    """Takes a page apart: table rows as lists of texts, headings, scripts, and every tag with its attributes."""

    def __init__(self, path: Path):
        super().__init__()
        self.text, self.tags = path.read_text(encoding="utf-8"), []
        self.feed(self.text)
        self.scripts = re.findall(r"<script[^>]*>(.*?)</script>", self.text, re.S)
        self.data = json.loads(self.scripts[0])
        self.titles = list(map(text_of, re.findall(r"<h[23]\b.*?</h[23]>", self.text, re.S)))
        rows = re.findall(r"<tr\b.*?</tr>", self.text, re.S)
        self.rows = [list(map(text_of, re.findall(r"<t[dh]\b.*?</t[dh]>", row, re.S))) for row in rows]

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def row(self, *start: str) -> list[str]:
        return next(row for row in self.rows if row[: len(start)] == list(start))


@pytest.fixture(scope="module")
def read(folder):
    return Page(folder / "page.html")


def test_figures_are_those_of_eval(folder, read):
    scores = json.loads((folder / "scores.json").read_text())
    assert read.data["scores"] == scores
    counts = {"Other": "no questions", "all": "144"}
    for title, label in [*(("type", label) for label in anetqa.QUESTION_TYPES.values()), ("overall", "all")]:
        cells = read.row(label)
        assert cells[1] == counts.get(label, "18")
        for cell, entry in zip(cells[3:], scores["predictions"], strict=True):
            one = entry["scores"][title][label]
            expected = [one["accuracy"], one["accuracy@10"]] if one["questions"] else []
            assert re.findall(r"\d+\.\d\d", cell) == [f"{value:.2f}" for value in expected]
    priors = scores["priors"]["accuracy"]
    of_motion = [f"{priors[name]['type']['Motion']:.2f}" for name in ("majority", "by type", "question only")]
    row = read.row("Motion", *of_motion, "100.00")  # the training split is the test split here
    for cell, entry in zip(row[5:], scores["predictions"], strict=True):
        assert f" {entry['scores']['type']['Motion']['above_prior']:+.2f} ".replace("-", "−") in f"{cell} "
    assert f"{of_motion[-1]}%" in {mark["x1"] for _, mark in read.tags if mark.get("class") == "prior"}
    pair = read.data["pairs"][1]
    assert (pair["first"], pair["second"]) == (0, 2)
    flips = pair["groups"]["overall"]["all"]
    difference = "{:+.2f} {:+.1f} to {:+.1f}".format(flips["difference"], *flips["interval"]).replace("-", "−")
    counts = [str(flips[name]) for name in ("both", "only_first", "only_second", "neither")]
    assert read.row("model0, <script>alert(1)<&")[1:6] == [*counts, difference]


def test_sections_curves_and_questions(read):
    parts = ["What needs no video", *TITLES[1:], "Accuracy by length of the video", "Learning curves"]
    found = [title for title in read.titles if "model" not in title.lower()]
    assert found[1:] == [TITLES[0], *parts, "mean, a<b>_seed0", "trm", "long", "Examples", "Method"]
    assert read.row("mean")[1:] == ["20", "3.5", "2.5", "50.00 at step 20"]
    assert read.row("trm")[1:] == ["10", "4.5", "–", "20.00 at step 10"]
    lines, stages = [[[10, 3.5]], [[20, 2.5]]] * 2, ["training", "validation"] * 2
    assert read.data["panels"][0] == {"steps": [0.0, 20.0], "lines": lines, "stages": stages}
    assert [line for panel in read.data["panels"] for line in panel["lines"]].count([[10, 25.0]]) == 2  # percent
    assert len(read.data["panels"]) == 3 + 3 + 1
    questions = read.data["questions"]
    assert (len(questions["qid"]), len(read.data["pictures"])) == (144, 12)
    titles = {title for title, _ in questions["categories"]}
    assert titles == {"type", "official group", "answer in training", "video length"}
    first = questions["qid"].index("q0_0")
    assert questions["texts"][questions["truth"][first]] == NASTY
    assert NASTY in questions["texts"][questions["question"][first]]
    labels = [questions["categories"][place] for place in questions["in"][first]]
    assert ["type", "Motion"] in labels and ["video length", "1 to 2 s"] in labels


def test_data_cannot_become_markup_and_nothing_is_loaded(read):
    assert [attributes.get("type") for tag, attributes in read.tags if tag == "script"] == ["application/json", None]
    assert read.scripts[1] == (STATIC / "page.js").read_text()
    assert not any(tag == "b" and attributes for tag, attributes in read.tags)
    assert {NASTY, "<b>bold</b>"} <= {cell for row in read.rows for cell in row}  # of the table of confusion
    assert all(not name.startswith("on") for _, attributes in read.tags for name in attributes)
    policy = next(attributes["content"] for tag, attributes in read.tags if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    links = [value for _, attributes in read.tags for name, value in attributes.items() if name in ("href", "src")]
    assert links and all(link.startswith("#") for link in links)


@pytest.fixture
def make_page(folder, tmp_path, score):
    """Makes a page of the first model, and others, without training split, frames and logs unless they are given."""
    truth = shutil.copy(folder / "test.csv", tmp_path)

    def make(*words, first=folder / "anetqa_by_model0.json") -> Page:
        score("anet", first, *words, truth, "--report", tmp_path / "page.html")
        return Page(tmp_path / "page.html")

    return make


def test_single_models(folder, tmp_path, make_page, monkeypatch):
    read = make_page()
    assert read.titles[1:] == [*TITLES, "Examples", "Method"]
    titles = {title for title, _ in read.data["questions"]["categories"]}
    assert titles == {"type", "official group", "answer in this split"}
    frames = shutil.copytree(folder / "frames", tmp_path / "frames")
    write_json(frames / ".extract_frames.json", {"fps": 1.5})
    read = make_page("--frames", frames)
    assert "at 1.5 per second" in read.text
    assert ["video length", "2 to 4 s"] in read.data["questions"]["categories"]
    write_json(frames / ".extract_frames.json", {"fps": None})
    assert "Accuracy by length" not in make_page("--frames", frames).text
    monkeypatch.setattr(page, "MOST_QUESTIONS", 30)
    read = make_page()
    assert "30 of the 144 questions, as many of each type and of each way to be right or wrong." in read.text
    assert len(read.data["questions"]["qid"]) == 30


def test_refused(folder, tmp_path, score, monkeypatch):
    monkeypatch.setattr(evaluation, "evaluate", None)  # found before anything is computed
    model, truth, report = folder / "anetqa_by_model0.json", folder / "test.csv", ("--report", tmp_path / "page.html")
    for words, message in (
        (("--frames", "x"), "--frames is for the page; add --report FILE, such as --report report.html"),
        ((*report, "--log", "no"), "no does not exist; give the folder of a run"),
        ((*report, "--frames", "no"), "cannot list the frames in no"),
        ((*report, "--frames", tmp_path), "has frames of none of the 24 videos, such as v_video0/"),
        ((*report, "--train", "no.csv"), "no.csv does not exist"),
        (("--plot", "x.jpg"), "--plot x.jpg: the name must end in one of .png, .pdf, .svg"),
        (("--plot", truth / "x.png"), "cannot write"),
    ):
        assert message in score("anet", model, truth, *words)[0]
    for words in (("--plot", "x.png"), report):
        assert f"{words[0]} shows at most 8 predictions" in score("anet", *[model] * 9, truth, *words)[0]
    assert not report[1].exists()
