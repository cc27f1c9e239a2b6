"""The page in Chromium: nothing goes wrong in the console, it fits a phone, and its filters find what they should."""

import pytest
from PIL import Image

import eval as evaluation

from ..results import NASTY, make_results

pytestmark = pytest.mark.browser
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    truth, files = make_results(folder)
    (folder / "frames" / "v_video0").mkdir(parents=True)
    for frame in range(6):
        Image.new("RGB", (32, 24), (0, 40 * frame, 0)).save(folder / "frames" / "v_video0" / f"{frame}.png")
    run = folder / "mean" / "version_0"
    run.mkdir(parents=True)
    rows = "".join(f"0,{10 * step - 1},{2 / step},{'' if step % 3 else 1 / step}\n" for step in range(1, 30))
    (run / "metrics.csv").write_text("epoch,step,train/loss,val/loss\n" + rows)
    arguments = ["anet", *files, truth, "--report", folder / "page.html", "--frames", folder / "frames", "--log", run]
    assert evaluation.main([str(word) for word in arguments]) == 0
    return folder


@pytest.fixture
def open_page(browser, folder):
    """Opens the page in a window; at the end nothing may have gone wrong or asked for the network."""
    wrong, asked, pages = [], [], []

    def open_window(window=DESKTOP, scheme="light"):
        page = browser.new_page(viewport=window, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((folder / "page.html").as_uri())
        return page

    yield open_window
    for page in pages:
        page.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("window", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opens_and_fits(open_page, window, scheme):
    page = open_page(window, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == window["width"]
    assert page.locator("#cards > li").count() == 24
    assert page.locator("#found").text_content() == "144 of 144 listed questions; 24 shown"
    assert page.locator(".pair:visible").count() == 1
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(245, 246, 248)") == (scheme == "light")


def test_filters(open_page):
    page = open_page()
    page.locator("#text").fill(NASTY)
    assert page.locator("#cards").text_content().count(NASTY) >= 1  # as text
    assert page.evaluate("typeof window.pwned") == "undefined"
    page.locator("#text").fill("")
    data = page.evaluate("JSON.parse(document.getElementById('data').textContent)")
    questions, scores = data["questions"], data["scores"]["predictions"]

    def found() -> int:
        return int(page.locator("#found").text_content().split()[0].replace(",", ""))

    page.select_option("#outcome", "right:0")
    assert found() == scores[0]["scores"]["overall"]["all"]["correct"]
    category = questions["categories"].index(["type", "Motion"])
    page.select_option("#category", str(category))
    assert found() == scores[0]["scores"]["type"]["Motion"]["correct"]
    assert page.locator("#cards .bad").count() < page.locator("#cards .good").count()
    motion = scores[0]["scores"]["type"]["Motion"]
    for outcome in ("wrong:0", "near:0"):  # each right answer is among the three best
        page.select_option("#outcome", outcome)
        assert found() == motion["questions"] - motion["correct"]
    page.locator("#filters button[type=reset]").click()
    page.wait_for_function("document.getElementById('found').textContent.startsWith('144 of')")
    page.locator("#text").fill("q3_ NUMBER")
    assert found() == 6
    page.locator("#text").fill("nowhere")
    assert page.locator("#found").text_content() == "No question fits."
    page.locator("#text").fill("")
    page.locator("#pictured").check()
    assert found() == 6
    assert page.locator("#cards img").count() == 6
    assert page.locator("#cards img").first.evaluate("image => image.naturalWidth") == 344


def test_links_lead_to_the_flipped_questions(open_page):
    page = open_page()
    flips = page.evaluate("JSON.parse(document.getElementById('data').textContent).pairs[1].groups")
    page.locator("#pairs table").first.locator("tbody tr").nth(1).locator("a").nth(1).click()
    assert page.locator("#found").text_content().startswith(f"{flips['overall']['all']['only_second']} of 144")
    assert page.locator("#outcome").input_value() == "flipped:0:2"
    page.select_option("#pair", "1")
    row = page.locator(".pair:visible tbody tr", has_text="Motion")
    row.locator("a").first.click()
    assert page.locator("#outcome").input_value() in ("flipped:0:2", "flipped:2:0")
    assert page.locator("#category option:checked").text_content() == "Motion"


def test_more_all_of_a_video_and_print(open_page):
    page = open_page()
    page.locator("#more").click()
    assert page.locator("#cards > li").count() == 48
    assert page.evaluate("document.activeElement.matches('#cards > li:nth-child(25)')")
    video = page.locator("#cards .plain").first.text_content()
    page.locator("#cards .plain").first.click()
    shown = page.locator("#cards .plain").all_text_contents()
    assert len(shown) >= 6 and video in shown
    page = open_page()
    page.emulate_media(media="print")
    assert [page.locator(f"{part}:visible").count() for part in (".pair", "#filters", "#cards > li")] == [3, 0, 12]
    assert len(page.pdf()) > 20_000


def test_figures_under_the_pointer(open_page):
    page = open_page()
    plot = page.locator(".plot svg").first
    plot.scroll_into_view_if_needed()
    plot.hover(position={"x": 1, "y": 50})
    assert page.locator(".panel output").nth(1).text_content() == "training 2"
    plot.hover(position={"x": plot.bounding_box()["width"] - 2, "y": 50})
    assert page.locator(".panel output").nth(0).text_content() in ("near step 289", "near step 290")
    assert page.locator(".panel output").nth(2).text_content() == "validation 0.03704"
    page.mouse.move(0, 0)
    assert page.locator(".panel output").nth(1).text_content() == ""
