"""The page: its figures are those of eval.py, nothing in the data becomes markup, and what is refused."""

import json
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import eval as evaluation
from datasets.sources import anetqa
from modules.evaluation.page import examples, page
from modules.evaluation.scores import evaluate

from ..results import NASTY, make_results

ROOT = Path(evaluation.__file__).parent
LOG = "epoch,step,lr/head,train/accuracy,train/loss,val/accuracy,val/loss\n0,9,0.1,0.25,3.5,,\n0,19,,,,0.5,2.5\n"
PRE_TRAINING = "epoch,step,train/loss,val/accuracy,val/align_loss\n0,9,4.5,0.2,1.5\n"


class Reader(HTMLParser):
    """Takes a page apart: table rows as lists of texts, scripts, headings, and every tag with its attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.rows, self.tags, self.scripts, self.titles = [], [], [], []
        self._inside = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "script":
            self.scripts.append("")
        if tag in ("h2", "h3"):
            self.titles.append("")
        if tag in ("meta", "line", "rect", "path", "circle", "use", "input", "polyline"):
            self._inside.pop()

    def handle_endtag(self, tag):
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data):
        if "script" in self._inside:
            self.scripts[-1] += data
        elif {"td", "th"} & set(self._inside):
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())
        elif {"h2", "h3"} & set(self._inside):
            self.titles[-1] = " ".join(f"{self.titles[-1]} {data}".split())

    @property
    def data(self):
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A truth with its predictions, frames of half of the videos, logs of three runs, a training split; the page."""
    folder = tmp_path_factory.mktemp("results")
    truth, files = make_results(folder)
    for video in range(12):
        (folder / "frames" / f"v_video{video}").mkdir(parents=True)
        for frame in range(3 * (video + 1)):
            Image.new("RGB", (32, 24), (20 * video, 0, 0)).save(folder / "frames" / f"v_video{video}" / f"{frame}.png")
    for name, log in (("mean", LOG), ("a<b>_seed0", LOG), ("trm", PRE_TRAINING)):
        (folder / name / "version_0").mkdir(parents=True)
        (folder / name / "version_0" / "metrics.csv").write_text(log)
    logs = [word for name in ("mean", "a<b>_seed0", "trm") for word in ("--log", folder / name / "version_0")]
    (folder / "train.csv").write_text(truth.read_text())
    arguments = ["anet", *files, truth, "--json", folder / "scores.json", "--report", folder / "page.html"]
    more = ["--frames", folder / "frames", "--train", folder / "train.csv", *logs]
    assert evaluation.main([str(word) for word in [*arguments, *more]]) == 0
    return folder


@pytest.fixture(scope="module")
def read(folder):
    return Reader((folder / "page.html").read_text(encoding="utf-8"))


def test_figures_are_those_of_eval(folder, read):
    scores = json.loads((folder / "scores.json").read_text())
    assert read.data["scores"] == scores
    shown = {row[0]: row for row in reversed(read.rows)}  # the first table counts
    counts = {"Other": "no questions", "all": "144"}
    for title, label in [*(("type", label) for label in anetqa.QUESTION_TYPES.values()), ("overall", "all")]:
        cells = shown[label]
        assert cells[1] == counts.get(label, "18")
        for cell, entry in zip(cells[3:], scores["predictions"], strict=True):
            score = entry["scores"][title][label]
            expected = [score["accuracy"], score["accuracy@10"]] if score["questions"] else []
            assert re.findall(r"\d+\.\d\d", cell) == [f"{value:.2f}" for value in expected]


def test_sections(read):
    assert [title for title in read.titles if "model" not in title.lower()][1:] == [
        *("Accuracy by type of question", "What needs no video", "Accuracy by answer"),
        *("Frequent answers taken for each other", "Accuracy by length of the video", "Learning curves"),
        *("mean, a<b>_seed0", "trm", "Examples", "Method"),
    ]


def test_priors_are_shown_beside_the_models(folder, read):
    """The training split is the test split here, so that the ceiling is 100 %."""
    row = next(row for row in read.rows if row[0] == "Motion" and row[4] == "100.00")
    scores = read.data["scores"]
    priors = scores["priors"]["accuracy"]
    names = ("majority", "by type", "question only", "ceiling")
    assert row[1:5] == [f"{priors[name]['type']['Motion']:.2f}" for name in names]
    for cell, entry in zip(row[5:], scores["predictions"], strict=True):
        above = entry["scores"]["type"]["Motion"]["above_prior"]
        assert f" {above:+.2f} ".replace("-", "−") in cell
    marks = [attributes for tag, attributes in read.tags if attributes.get("class") == "prior"]
    assert f"{priors['question only']['type']['Motion']:.2f}%" in {mark["x1"] for mark in marks}


def test_flips_are_counted_in_the_page(folder, read):
    pair = read.data["pairs"][1]
    assert (pair["first"], pair["second"]) == (0, 2)
    flips = pair["groups"]["overall"]["all"]
    row = next(row for row in read.rows if row[0] == "model0, <script>alert(1)<&")
    assert row[1:5] == [str(flips[name]) for name in ("both", "only_first", "only_second", "neither")]
    low, high = flips["interval"]
    assert row[5] == f"{flips['difference']:+.2f} {low:+.1f} to {high:+.1f}".replace("-", "−")


def test_curves(read):
    rows = {row[0]: row[1:] for row in read.rows}
    assert rows["mean"] == ["20", "3.5", "2.5", "50.00 at step 20"]
    assert rows["trm"] == ["10", "4.5", "–", "20.00 at step 10"]
    assert read.data["panels"][0] == {
        "steps": [0.0, 20.0],
        "lines": [[[10, 3.5]], [[20, 2.5]]] * 2,
        "stages": ["training", "validation"] * 2,
    }
    assert [line for panel in read.data["panels"] for line in panel["lines"]].count([[10, 25.0]]) == 2  # percent
    assert len(read.data["panels"]) == 3 + 3


def test_questions(read):
    questions = read.data["questions"]
    assert len(questions["qid"]) == 144
    assert len(read.data["pictures"]) == 12
    titles = {title for title, _ in questions["categories"]}
    assert titles == {"type", "official group", "answer in training", "video length"}
    first = questions["qid"].index("q0_0")
    assert questions["texts"][questions["truth"][first]] == NASTY
    assert NASTY in questions["texts"][questions["question"][first]]
    labels = [questions["categories"][place] for place in questions["in"][first]]
    assert ["type", "Motion"] in labels and ["video length", "1 to 2 s"] in labels


def test_data_cannot_become_markup(read):
    assert [attributes.get("type") for tag, attributes in read.tags if tag == "script"] == ["application/json", None]
    assert read.scripts[1] == (ROOT / "modules" / "evaluation" / "page" / "page.js").read_text()
    assert not any(tag == "b" and attributes for tag, attributes in read.tags)
    cells = {cell for row in read.rows for cell in row}
    assert {NASTY, "<b>bold</b>"} <= cells  # in the table of confusion, as text
    assert all(not name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_reaches_for_nothing(read):
    policy = next(attributes["content"] for tag, attributes in read.tags if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    links = [value for _, attributes in read.tags for name, value in attributes.items() if name in ("href", "src")]
    assert links and all(link.startswith("#") for link in links)


@pytest.fixture
def make_page(folder, tmp_path):
    """Writes a page of the first model, and others, without training split, frames and logs unless they are given."""
    shutil.copy(folder / "test.csv", tmp_path)

    def make(*arguments, first=folder / "anetqa_by_model0.json") -> tuple[str, Reader]:
        words = ["anet", first, *arguments, tmp_path / "test.csv", "--report", tmp_path / "page.html"]
        assert evaluation.main([str(word) for word in words]) == 0
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        return text, Reader(text)

    return make


def test_a_single_model_without_frames_and_logs(make_page):
    _, read = make_page()
    titles = ["Accuracy by type of question", "Accuracy by answer", "Frequent answers taken for each other"]
    assert read.titles[1:] == [*titles, "Examples", "Method"]
    titles = {title for title, _ in read.data["questions"]["categories"]}
    assert titles == {"type", "official group", "answer in this split"}


def test_missing_predictions(folder, tmp_path, make_page):
    """Where the first model answers no question of a type, the chart shows the second alone, in its own colour."""
    predictions = json.loads((folder / "anetqa_by_model0.json").read_text())
    numbers = [map(int, one["qid"].removeprefix("q").split("_")) for one in predictions]
    kept = [one for one, place in zip(predictions, numbers, strict=True) if sum(place) % 8]  # none of Motion
    (tmp_path / "p.json").write_text(json.dumps(kept))
    text, read = make_page(folder / "anetqa_by_model1.json", "--allow-missing", first=tmp_path / "p.json")
    assert "18 questions are missing; its accuracies are over the others" in text
    assert read.data["questions"]["given"][0].count(-1) == 18
    assert sum(read.data["pairs"][0]["groups"]["overall"]["all"][name] for name in ("both", "neither")) < 126
    row = text[text.index('data-label="Motion"') :]
    chart = row[row.index("<svg") : row.index("</td>", row.index("<svg"))]
    assert set(re.findall(r'class="(?:whisker )?(m\d)"', chart)) == {"m1"}
    assert re.findall(r'href="#(mark\d)"', chart) == ["mark1"]


def test_lengths_are_those_of_the_frames_rate(folder, tmp_path, make_page):
    frames = tmp_path / "frames"
    shutil.copytree(folder / "frames", frames)
    (frames / ".extract_frames.json").write_text('{"fps": 1.5}')
    text, read = make_page("--frames", frames)
    assert "at 1.5 per second" in text
    assert ["video length", "2 to 4 s"] in read.data["questions"]["categories"]
    (frames / ".extract_frames.json").write_text('{"fps": null}')
    assert "Accuracy by length" not in make_page("--frames", frames)[0]


def test_only_some_questions_of_a_large_split(make_page, monkeypatch):
    monkeypatch.setattr(page, "MOST_QUESTIONS", 30)
    text, read = make_page()
    assert "30 of the 144 questions, as many of each type and of each way to be right or wrong." in text
    assert len(read.data["questions"]["qid"]) == 30


def test_refused(folder, tmp_path, capsys, monkeypatch):
    files = [str(folder / "anetqa_by_model0.json"), str(folder / "test.csv")]
    report = ["--report", str(tmp_path / "page.html")]
    for arguments, message in (
        ([*files, "--frames", "x"], "--frames is for the page; add --report FILE, such as --report report.html"),
        ([*files, "--log", "x"], "--log is for the page; add --report"),
        ([*files, *report, "--log", "no"], "no does not exist; give the folder of a run"),
        ([*files, *report, "--frames", "no"], "cannot list the frames in no"),
        ([*files, *report, "--frames", str(tmp_path)], "has frames of none of the 24 videos, such as v_video0/"),
        ([*files, *report, "--train", "no.csv"], "no.csv does not exist"),
        ([*files, "--plot", "x.jpg"], "--plot x.jpg: the name must end in one of .png, .pdf, .svg"),
        ([*files, "--report", str(folder / "test.csv" / "x")], "cannot write"),
        ([*files, "--plot", str(folder / "test.csv" / "x.png")], "cannot write"),
        ([*files, "--json", str(tmp_path)], "it is a folder"),
        ([files[0]] * 9 + files[1:] + ["--plot", "x.png"], "--plot shows at most 8 predictions, not 9"),
        ([files[0]] * 9 + files[1:] + report, "--report shows at most 8 predictions beside each other, not 9"),
    ):
        monkeypatch.setattr(evaluation, "evaluate", None)  # found before anything is computed
        assert evaluation.main(["anet", *arguments]) == 2
        output, error = capsys.readouterr()
        assert output == "" and error.startswith("error: ") and message in error
    assert not (tmp_path / "page.html").exists()


def test_colours_have_contrast():
    """Text at least 4.5 : 1 (WCAG AA), marks at least 3 : 1, on what they stand on, in light and in dark."""
    style = (ROOT / "modules" / "evaluation" / "page" / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)[:2]
    themes = [dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks]
    assert len(themes) == 2
    for colours in themes:
        for text in ("ink", "muted", "link", "good", "bad", "warn"):
            for ground in ("card", "back", "paper"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["ink"], colours["heat"]) >= 4.5
        assert contrast(colours["ink"], colours["heat-right"]) >= 4.5
        for number in range(page.MOST_MODELS):
            assert contrast(colours[f"m{number}"], colours["card"]) >= 3, number


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.slow
def test_eight_thousand_questions_and_three_models(tmp_path):
    """Below 12 MB and 30 seconds, with probabilities and the most pictures there can be."""
    truth, files = make_results(tmp_path, num_videos=800, questions_each=10)
    for file in files:
        records = json.loads(file.read_text())
        scored = [{**record, "scores10": [0.5 + place % 997 / 2000, 0, 0]} for place, record in enumerate(records)]
        file.write_text(json.dumps(scored))
    Image.effect_noise((683, 384), 80).save(tmp_path / "noise.jpg")
    for video in range(examples.MOST_VIDEOS):
        (tmp_path / "frames" / f"v_video{video}").mkdir(parents=True)
        for frame in range(6):
            shutil.copy(tmp_path / "noise.jpg", tmp_path / "frames" / f"v_video{video}" / f"{frame}.jpg")
    start = time.process_time()
    report = evaluate(anetqa.SOURCE, files, truth, validation=[*files, truth])
    page.write_page(tmp_path / "page.html", report, tmp_path / "frames")
    assert time.process_time() - start < 30
    size = (tmp_path / "page.html").stat().st_size
    assert 5e6 < size < 12e6


def test_the_table_alone_imports_none_of_it(folder):
    names = "torch matplotlib scipy jinja2 cv2"
    code = f"import sys, eval; sys.exit(bool(eval.main(sys.argv[1:]) or set('{names}'.split()) & set(sys.modules)))"
    files = [str(folder / "anetqa_by_model0.json"), str(folder / "test.csv")]
    done = subprocess.run([sys.executable, "-c", code, "anet", *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
