"""The web pages in a real browser, on a running stack: submit, watch, compare, classify; nothing breaks in between."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from client.api import Client
from tests.e2e.browsing import MARKS, SPEC, recording

pytestmark = MARKS


def test_a_job_from_the_form_to_its_results(page: Page, dataset_id: str) -> None:
    """A fault is told at its field; the estimate follows the form; curves and results come while the page is open."""
    page.goto("/jobs/new?dataset=small")
    expect(page.locator("#estimate")).to_contain_text("60")  # 24 recordings, 20 epochs, three networks
    page.get_by_label("Name", exact=True).first.fill("by hand")
    page.get_by_text("Training", exact=True).click()
    epochs = page.get_by_label("Epochs", exact=True)
    epochs.fill("0")
    expect(page.locator("[aria-invalid]")).to_have_count(1)
    fault = page.locator(f"#{epochs.get_attribute('id')}-fault")
    expect(fault).to_contain_text("greater than or equal to 1")
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    epochs.fill("2")
    expect(page.locator("#estimate")).to_contain_text("Optimisation steps in all")
    page.get_by_role("button", name="Submit").click()

    page.wait_for_url("**/jobs/job_*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("by hand")
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded", timeout=60_000)
    expect(page.locator("#results .confusion")).to_be_visible()
    expect(page.locator("#results")).to_contain_text("24 test recordings of small")
    for part in ("Student", "Which teacher the student follows", "Teachers"):
        expect(page.get_by_role("heading", name=part, exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    page.get_by_text("Which teacher the student follows, class by class").click()
    expect(page.locator("#class-charts figure")).to_have_count(6)
    circle = page.locator("#class-charts").get_by_role("img", name="circle_cw")
    assert "fusion" in str(circle.get_attribute("aria-label"))
    total = page.get_by_role("img", name="total: whole loss")
    assert "seed 0" in str(total.get_attribute("aria-label"))
    page.get_by_role("link", name="Clone").click()
    expect(page.get_by_label("Name", exact=True).first).to_have_value("by hand")


def test_a_running_job_obeys_its_buttons(page: Page, service: Client, dataset_id: str) -> None:
    """Pause, resume and cancel are offered where they are possible, and the page shows what became of them."""
    assert dataset_id
    job = service.submit({**SPEC, "name": "long", "training": {"epochs": 5000, "batch_size": 16}})
    page.goto(f"/jobs/{job.id}")
    heading = page.get_by_role("heading", level=1)
    page.get_by_role("button", name="Pause").click()
    expect(heading).to_contain_text("paused", timeout=60_000)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(heading).to_contain_text("cancelled", timeout=60_000)
    page.goto("/jobs?state=cancelled")
    expect(page.locator("#list")).to_contain_text("long")


def test_rows_are_expanded_and_compared(page: Page, job_id: str, service: Client) -> None:
    """The leaderboard shows a row's seeds below it, sorts, sets published rows apart and compares two of ours."""
    other = service.submit({**SPEC, "name": "alone", "method": {"kind": "none"}, "seeds": [0, 1]})
    service.wait(other.id)
    page.goto("/leaderboard")
    expect(page.locator("table.board")).to_contain_text("±")
    ours = page.locator("table.board tbody tr", has_text="alone")
    ours.get_by_role("button").click()
    below = page.locator("td.expanded")
    expect(below.locator("tbody tr")).to_have_count(2)
    assert other.id in str(below.get_by_role("link", name="results").first.get_attribute("href"))
    page.get_by_label("with published figures").check()
    expect(page.locator("tr.published").first).to_contain_text("published")
    page.get_by_role("link", name="Parameters").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Parameters")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert "accuracy_mean" in download.value.path().read_text(encoding="utf-8")
    compare = page.get_by_role("button", name="Compare")
    expect(compare).to_be_disabled()
    for name in ("alone", "pages"):
        page.locator("table.board tbody tr", has_text=name).get_by_role("checkbox").check()
    compare.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Two rows side by side")
    expect(page.locator(".confusion")).to_have_count(2)
    assert job_id


def test_a_dropped_file_is_labelled(page: Page, job_id: str, tmp_path: Path) -> None:
    """The answer, its segments, what was made of the file, and both downloads; a file that is none says why."""
    assert job_id
    page.goto("/classify?model=pages")
    page.locator("#file").set_input_files(recording(tmp_path))
    expect(page.locator("#answer-label")).not_to_be_empty()
    expect(page.locator("#answer-model")).to_contain_text("of 12 test recordings right")
    expect(page.locator("#warnings")).to_contain_text("no unit is given")
    expect(page.locator("#trace canvas")).to_be_visible()
    assert page.locator("#segments tr").count() >= 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Download segments as CSV").click()
    assert download.value.suggested_filename == "wrist.segments.csv"
    assert download.value.path().read_text(encoding="utf-8").startswith("start_s,end_s,label,probability\n0,")


def test_a_theme_is_chosen_and_kept(page: Page) -> None:
    """The switch goes from the system's colours to light to dark, by keyboard, and the next page has them too."""
    page.goto("/system")
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto("/models")
    expect(page.locator("#theme-name")).to_have_text("dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark == "rgb(16, 21, 27)"


def test_who_has_a_key_signs_in(browser: Browser, keyed: tuple[str, str], dataset_id: str) -> None:
    """A wrong key is refused where it was typed; with a right one forms and buttons work, until signing out."""
    assert dataset_id
    url, secret = keyed
    page = browser.new_context(base_url=url).new_page()
    page.goto("/jobs/new?dataset=small")
    page.get_by_label("Key").fill("pskd_nonsense")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").first).to_contain_text("no API key that holds")
    page.get_by_label("Key").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/jobs/new?dataset=small")
    expect(page.locator("#estimate")).to_contain_text("Optimisation steps")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/job_*")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled", timeout=60_000)
    expect(page.locator("#log-lines")).to_contain_text("job: cancelled")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/jobs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
