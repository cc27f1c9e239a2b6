"""The page in Chromium: nothing goes wrong in the console, it fits a phone, and its filters find what they should."""

import pytest

from ..results import NASTY

pytestmark = pytest.mark.browser


@pytest.fixture
def open_page(browser, folder):
    """Opens the page in a window; at the end nothing may have gone wrong or asked for the network."""
    wrong, asked, pages = [], [], []

    def open_window(width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((folder / "page.html").as_uri())
        return page

    yield open_window
    for page in pages:
        page.close()
    assert wrong == [] and all(url.startswith(("file:", "data:")) for url in asked)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "dark")])
def test_opens_and_fits(open_page, width, scheme):
    page = open_page(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
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
    page.select_option("#category", str(questions["categories"].index(["type", "Motion"])))
    motion = scores[0]["scores"]["type"]["Motion"]
    assert found() == motion["correct"]
    assert page.locator("#cards .bad").count() < page.locator("#cards .good").count()
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
    assert (found(), page.locator("#cards img").count()) == (72, 24)
    assert page.locator("#cards img").first.evaluate("image => image.naturalWidth") == 344


def test_links_lead_to_the_flipped_questions(open_page):
    page = open_page()
    flips = page.evaluate("JSON.parse(document.getElementById('data').textContent).pairs[1].groups")
    page.locator("#pairs table").first.locator("tbody tr").nth(1).locator("a").nth(1).click()
    assert page.locator("#found").text_content().startswith(f"{flips['overall']['all']['only_second']} of 144")
    assert page.locator("#outcome").input_value() == "flipped:0:2"
    page.select_option("#pair", "1")
    page.locator(".pair:visible tbody tr", has_text="Motion").locator("a").first.click()
    assert page.locator("#outcome").input_value() in ("flipped:0:2", "flipped:2:0")
    assert page.locator("#category option:checked").text_content() == "Motion"
