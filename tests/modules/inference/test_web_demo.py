"""Answers and refusals of the web demo; and the page itself in Chromium, with users that do what users do."""

import re
import signal
import socket

import pytest

from datasets.errors import InputError
from modules.inference.table import NOT_SURE
from modules.inference.web_demo import WebDemo
from tests.datasets.video.video_files import make_video
from tests.kit.processes import start

from .conftest import QUESTION


def shown_answers(page: str) -> list[tuple[str, str]]:
    return re.findall(r'<div class="answer(?: first)?">(.*?)</div>.*?<div class="share(?: first)?">(.*?)</div>', page)


def answers_of(answer) -> list[tuple[str, str]]:
    return [(text, f"{100 * share:.1f} %") for text, share in zip(answer.best, answer.probabilities, strict=True)]


def test_answers_frames_and_times(predictor, toy_video, expected):
    page = WebDemo(predictor, 60).answer(str(toy_video), f" {QUESTION} ")
    assert shown_answers(page) == answers_of(expected)
    assert page.count('<img src="data:image/jpeg;base64,') == 4
    assert page.count('<div class="bar" style="left:') == 6
    assert "5.0 s" in page and "s in all" in page
    assert "<script" not in WebDemo(predictor, 60).answer(str(toy_video), "<script>alert(1)</script>")
    page = WebDemo(predictor, 60, expected.probabilities[0] + 1e-3).answer(str(toy_video), QUESTION)
    assert re.search(r'first">(.*?)<', page)[1] == NOT_SURE and answers_of(expected)[0][1] in page


def test_refusals(predictor, toy_video, tmp_path):
    make_video(tmp_path / "long.mp4", 70, rate=10)
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 100)
    for video, question, said in (
        (None, QUESTION, "There is no video yet"),
        (toy_video, "  ", "There is no question yet"),
        (toy_video, "why " * 200, "The question is longer than 500 characters."),
        ("noise.mp4", QUESTION, "noise.mp4 is no video that can be used: it does not say how long it is."),
        ("long.mp4", QUESTION, "long.mp4 is 7 s long; videos of up to 6 s are taken."),
    ):
        with pytest.raises(InputError, match=f"^{said}") as caught:
            WebDemo(predictor, 6).answer(video and str(tmp_path / video), question)
        assert str(tmp_path) not in str(caught.value)


@pytest.fixture(scope="module")
def server(toy_checkpoint, toy_video, tmp_path_factory):
    """The address of a demo that serves whatever proxies are set, and ends well; nothing of the uploads is left."""
    pytest.importorskip("gradio", reason="Gradio is not installed (requirements-demo.txt)")
    folder = tmp_path_factory.mktemp("uploads")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [f"port={port}", f"load_path={toy_checkpoint}", f"examples={toy_video}", f"question={QUESTION}"]
    proxies = {"ALL_PROXY": "socks5://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "no_proxy": "example.org"}
    limits = "upload_seconds=7", "upload_megabytes=1"
    process = start("run.py", "web", "with", *words, *limits, TMPDIR=str(folder), **proxies)
    try:
        said = process.stdout.readline()
        assert said == f"serving on http://127.0.0.1:{port} (Ctrl-C ends it)\n", said + process.stdout.read()
        yield said.split()[2]
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
        assert (process.returncode, rest, list(folder.iterdir())) == (0, "", [])
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


def ask(page, video, question: str = QUESTION) -> None:
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
        ask(page, toy_video)
        assert first_answer(page) == expected.best[0]
        assert (page.locator(".answer").count(), page.locator(".frames img").count()) == (10, 4)
        assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing sticks out
        assert not page.locator('button[aria-label^="Trim"]').is_visible()

    def test_what_is_refused_is_said_and_the_server_lives_on(self, user, toy_video, expected, tmp_path):
        (tmp_path / "broken.mp4").write_bytes(b"this is no video")
        (tmp_path / "large.mp4").write_bytes(bytes(2_000_000))
        page = user()
        ask(page, tmp_path / "broken.mp4")
        page.get_by_text("broken.mp4 is no video that can be used").wait_for()
        assert page.locator(".answer").count() == 0
        page.get_by_test_id("Video-player").dispatch_event("error")  # as the browser does, sooner or later
        page.get_by_test_id("video").get_by_label("Clear").click()
        ask(page, toy_video)
        assert first_answer(page) == expected.best[0]
        page = user()
        page.set_input_files("input[type=file]", tmp_path / "large.mp4")
        page.get_by_text("exceed").first.wait_for()
