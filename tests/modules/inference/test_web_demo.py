"""What the web demo shows and refuses; and the page itself in Chromium, with users that do what users do."""

import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datasets.errors import InputError
from datasets.video.ffmpeg import find_ffmpeg
from modules.inference.predictor import Predictor
from modules.inference.table import NOT_SURE
from modules.inference.web_demo import VIDEOS_KEPT, WebDemo, find_examples
from tests.datasets.video.video_files import make_video
from tests.kit.paths import ROOT

QUESTION = "what acted at the end"


@pytest.fixture(scope="module")
def predictor(toy_checkpoint):
    return Predictor.open(toy_checkpoint)


@pytest.fixture(scope="module")
def expected(predictor, toy_video):
    (answer,) = predictor.answer(predictor.encode_video(toy_video), [QUESTION])
    return answer


def shown_answers(page: str) -> list[tuple[str, str]]:
    return re.findall(r'<div class="answer(?: first)?">(.*?)</div>.*?<div class="share(?: first)?">(.*?)</div>', page)


class TestWebDemo:
    def test_answers_frames_and_times(self, predictor, toy_video, expected):
        page = WebDemo(predictor, 60).answer(str(toy_video), f" {QUESTION} ")
        shares = [f"{100 * share:.1f} %" for share in expected.probabilities]
        assert shown_answers(page) == list(zip(expected.best, shares, strict=True))
        assert page.count('<img src="data:image/jpeg;base64,') == 4
        assert page.count('<div class="bar" style="left:') == 6
        assert "5.0 s" in page
        assert "s in all" in page

    @pytest.mark.parametrize(("points", "is_sure"), [(-0.1, True), (0.1, False)])
    def test_below_the_threshold_it_is_not_sure(self, predictor, toy_video, expected, points, is_sure):
        below = expected.probabilities[0] + points / 100
        page = WebDemo(predictor, 60, below).answer(str(toy_video), QUESTION)
        assert re.search(r'first">(.*?)<', page)[1] == (expected.best[0] if is_sure else NOT_SURE)
        assert f"{100 * expected.probabilities[0]:.1f} %" in page

    def test_a_question_is_text_and_not_markup(self, predictor, toy_video):
        page = WebDemo(predictor, 60).answer(str(toy_video), "<script>alert(1)</script>")
        assert "<script" not in page

    def test_a_few_videos_are_remembered(self, predictor, toy_video, tmp_path, monkeypatch):
        looked = []
        original = predictor.encode_video
        monkeypatch.setattr(predictor, "encode_video", lambda path: looked.append(Path(path).name) or original(path))
        demo = WebDemo(predictor, 60)
        copies = [tmp_path / f"{index}.mp4" for index in range(VIDEOS_KEPT + 1)]
        for copy in copies:
            copy.write_bytes(toy_video.read_bytes())
        for copy in [*copies[:2], copies[0], copies[2], copies[0], copies[1]]:
            demo.answer(str(copy), QUESTION)
        assert looked == ["0.mp4", "1.mp4", "2.mp4", "1.mp4"]

    @pytest.mark.parametrize(
        ("video", "question", "said"),
        [
            (None, QUESTION, "There is no video yet"),
            ("toy", "  ", "There is no question yet"),
            ("toy", None, "There is no question yet"),
            ("toy", "why " * 200, "The question is longer than 500 characters."),
            ("noise.mp4", QUESTION, "noise.mp4 is no video that can be used: it does not say how long it is."),
            ("cut.mp4", QUESTION, "cut.mp4 is no video that can be used: "),
            ("long.mp4", QUESTION, "long.mp4 is 7 s long; videos of up to 6 s are taken."),
        ],
    )
    def test_what_is_refused(self, predictor, toy_video, tmp_path, video, question, said):
        make_video(tmp_path / "long.mp4", 70, rate=10)
        (tmp_path / "noise.mp4").write_bytes(b"noise" * 100)
        whole = make_video(tmp_path / "short.mp4", 10).read_bytes()
        # The index alone: it says how long the video is, and there is no picture.
        (tmp_path / "cut.mp4").write_bytes(whole[: whole.index(b"mdat") - 4] + whole[whole.index(b"moov") - 4 :])
        path = {None: None, "toy": str(toy_video)}.get(video, str(tmp_path / str(video)))
        with pytest.raises(InputError) as caught:
            WebDemo(predictor, 6).answer(path, question)
        assert str(caught.value).startswith(said)
        assert str(tmp_path) not in str(caught.value)

    def test_examples(self, toy_video):
        found = find_examples([str(toy_video.parent)])
        assert len(found) == 6
        assert found[0] == str(toy_video)
        assert find_examples([str(toy_video)]) == [str(toy_video)]
        with pytest.raises(InputError, match="examples: there is no file or folder 'nowhere'"):
            find_examples(["nowhere"])


@pytest.fixture(scope="module")
def server(toy_checkpoint, toy_video, tmp_path_factory):
    """The address of a demo that serves; at its end nothing of the uploads is left."""
    pytest.importorskip("gradio", reason="Gradio is not installed (requirements-demo.txt)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("uploads")
    words = [
        *(
            "web",
            "with",
            f"load_path={toy_checkpoint}",
            f"port={port}",
            f"examples={toy_video}",
            f"question={QUESTION}",
        ),
        *("upload_seconds=7", "upload_megabytes=1"),
    ]
    process = subprocess.Popen(
        [sys.executable, "run.py", *words],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = process.stdout.readline()
        assert said == f"serving on http://127.0.0.1:{port} (Ctrl-C ends it)\n", said + process.stdout.read()
        yield said.split()[2]
        assert process.poll() is None  # it lives still
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, "")
        assert list(folder.iterdir()) == []
    finally:
        process.kill()


@pytest.fixture
def user(browser, server):
    """Opens the page as another user; nothing may go wrong in the console or be asked of other hosts."""
    contexts, wrong, asked = [], [], []

    def open_page(**settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server)
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []


def ask(page, video, question: str) -> None:
    """Uploads and asks, without waiting for the answer."""
    with page.expect_response(re.compile("/upload")):
        page.set_input_files("input[type=file]", video)
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def first_answer(page) -> str:
    return page.locator(".answer.first").inner_text()


@pytest.mark.browser
class TestPage:
    @pytest.mark.parametrize("width", [390, 1280])
    def test_upload_ask_answer(self, user, toy_video, expected, width):
        page = user(viewport={"width": width, "height": 800})
        ask(page, toy_video, QUESTION)
        assert first_answer(page) == expected.best[0]
        assert page.locator(".answer").count() == 10
        assert page.locator(".frames img").count() == 4
        assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing sticks out
        assert not page.locator('button[aria-label^="Trim"]').is_visible()

    def test_nothing_asked_then_examples(self, user, expected):
        page = user()
        page.get_by_role("button", name="Ask", exact=True).click()
        page.get_by_text("There is no video yet").wait_for()
        page.locator(".gallery-item").first.click()
        page.locator(".gallery-item", has_text=QUESTION).click()
        page.locator("video").first.wait_for(state="attached")
        page.get_by_role("button", name="Ask", exact=True).click()
        assert first_answer(page) == expected.best[0]

    def test_broken_file_shows_an_error_and_the_server_lives_on(self, user, toy_video, expected, tmp_path):
        (tmp_path / "broken.mp4").write_bytes(b"this is no video")
        page = user()
        ask(page, tmp_path / "broken.mp4", QUESTION)
        page.get_by_text("broken.mp4 is no video that can be used").wait_for()
        assert page.locator(".answer").count() == 0
        page.get_by_test_id("Video-player").dispatch_event("error")  # as the browser does, sooner or later
        page.get_by_test_id("video").get_by_label("Clear").click()
        ask(page, toy_video, QUESTION)
        assert first_answer(page) == expected.best[0]

    def test_too_long_and_too_large(self, user, tmp_path):
        page = user()
        ask(page, make_video(tmp_path / "long.mp4", 80, rate=10), QUESTION)
        page.get_by_text("long.mp4 is 8 s long; videos of up to 7 s are taken.").wait_for()
        page.get_by_test_id("video").get_by_label("Clear").click()
        (tmp_path / "large.mp4").write_bytes(bytes(2_000_000))
        page.set_input_files("input[type=file]", tmp_path / "large.mp4")
        page.get_by_text("exceed").first.wait_for()

    def test_two_users_at_once(self, user, predictor, toy_video):
        videos = sorted(toy_video.parent.glob("*_test_*.mp4"))[:2]
        questions = [QUESTION, "where does it happen"]
        pages = [user(), user()]
        for page, video, question in zip(pages, videos, questions, strict=True):
            ask(page, video, question)
        for page, video, question in zip(pages, videos, questions, strict=True):
            (answer,) = predictor.answer(predictor.encode_video(video), [question])
            assert first_answer(page) == answer.best[0]
            shown = shown_answers(page.locator("#found").inner_html())
            assert shown == [
                (text, f"{100 * share:.1f} %") for text, share in zip(answer.best, answer.probabilities, strict=True)
            ]


def test_without_gradio(predictor, monkeypatch):
    from modules.inference.web_demo import serve

    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    with pytest.raises(InputError, match=r"the web demo needs Gradio: pip install -r requirements-demo\.txt"):
        serve(predictor)


@pytest.fixture
def stalled(tmp_path, monkeypatch):
    """A video that every decoder stalls on."""
    script = tmp_path / "stand_in"
    script.write_text(f'#!/bin/sh\ncase "$*" in *stalled.mp4*) sleep 60;; esac\nexec "{find_ffmpeg()}" "$@"\n')
    script.chmod(0o755)
    for module in ("datasets.video.ffmpeg", "modules.inference.video_input"):
        monkeypatch.setattr(f"{module}.find_ffmpeg", lambda: str(script))
    return make_video(tmp_path / "stalled.mp4", 10)


def test_a_video_that_stalls_keeps_nobody_waiting(predictor, toy_video, stalled, expected, monkeypatch):
    monkeypatch.setattr("datasets.video.ffmpeg.STALL_SECONDS", 6)
    demo = WebDemo(predictor, 60)
    with ThreadPoolExecutor(4) as visitors:
        first = visitors.submit(demo.answer, str(stalled), QUESTION)
        others = [visitors.submit(demo.answer, str(toy_video), QUESTION) for _ in range(2)]
        for other in others:
            assert shown_answers(other.result())[0][0] == expected.best[0]
        assert not first.done()
        with pytest.raises(InputError, match=r"^stalled\.mp4 is no video that can be used: the decoder gave nothing"):
            first.result()


def test_a_recording_without_a_length(predictor):
    recording = ROOT / "tests" / "fixtures" / "videos" / "nodur.webm"
    assert len(shown_answers(WebDemo(predictor, 60).answer(str(recording), QUESTION))) == 10
    with pytest.raises(InputError, match=r"nodur\.webm is 1 s long; videos of up to 0\.5 s are taken"):
        WebDemo(predictor, 0.5).answer(str(recording), QUESTION)


@pytest.mark.parametrize(
    "proxies",
    [
        {"http_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
        {"ALL_PROXY": "socks5://127.0.0.1:9", "all_proxy": "nonsense://x", "no_proxy": "example.org"},
    ],
)
def test_proxies_keep_nothing_from_serving(toy_checkpoint, proxies):
    pytest.importorskip("gradio", reason="Gradio is not installed (requirements-demo.txt)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "run.py", "web", "with", f"load_path={toy_checkpoint}", f"port={port}"],
        cwd=ROOT,
        env=os.environ | proxies,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = process.stdout.readline()
        assert said == f"serving on http://127.0.0.1:{port} (Ctrl-C ends it)\n", said + process.stdout.read()
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("command", ["ask", "web"])
def test_an_old_ffmpeg_is_said_before_anything_is_loaded(toy_checkpoint, toy_video, tmp_path, command):
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho ffmpeg version 4.2.7 Copyright\n")
    script.chmod(0o755)
    words = ["with", f"load_path={toy_checkpoint}"]
    words += [f"video={toy_video}", "question=why"] if command == "ask" else ["port=1"]
    run = subprocess.run(
        [sys.executable, "run.py", command, *words],
        cwd=ROOT,
        env=os.environ | {"IMAGEIO_FFMPEG_EXE": str(script), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert f"{script} is ffmpeg 4.2.7, and videos need ffmpeg 5.1 or newer" in run.stderr
    assert "Traceback" not in run.stderr
