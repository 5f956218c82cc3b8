"""The page that labels this phone's sensor, in a real browser on a running stack, with a sensor's events."""

import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.browsing import MARKS, PHONE

pytestmark = MARKS
START = "Use this phone's sensor"
# A wrist at 50 Hz whose clock runs twenty times as fast as ours; z stays 9.8.
SENSOR = """() => {
  let sample = 0;
  window.sensor = setInterval(() => {
    for (let each = 0; each < 10; each += 1, sample += 1) {
      const felt = { x: 3 * Math.sin(sample / 6), y: 3 * Math.cos(sample / 6), z: 9.8 };
      const event = new DeviceMotionEvent("devicemotion", { accelerationIncludingGravity: felt, interval: 20 });
      Object.defineProperty(event, "timeStamp", { value: 20 * sample });
      dispatchEvent(event);
    }
  }, 10);
}"""
SHOWN = "() => [...live].at(-1).plot.data.map((column) => [column[0], column.at(-1), column.length])"


def shown(page: Page) -> list[list[float]]:
    """First and last value and number of what is plotted: of the time, x, y and z."""
    found: list[list[float]] = page.evaluate(SHOWN)
    return found


@pytest.mark.parametrize(("colours", "size"), [("light", None), ("dark", PHONE)], ids=["light", "dark, phone"])
def test_a_phone_is_labelled_while_it_moves(page: Page, job_id: str, colours: Any, size: Any) -> None:
    """Labels and trace come from the service's own stream, the last 20 s alone are kept, and all can use the page."""
    assert job_id
    page.emulate_media(color_scheme=colours)
    if size:
        page.set_viewport_size(size)
    page.goto("/classify?model=pages")
    expect(page.get_by_label("Turn the signs")).not_to_be_checked()
    with page.expect_websocket() as opened:
        page.get_by_role("button", name=START).click()
        page.evaluate(SENSOR)
    assert opened.value.url.startswith(page.url.split("/classify")[0].replace("http", "ws"))
    assert "rate_hz=50" in opened.value.url
    expect(page.locator("#live-legend li").first).to_be_visible()
    expect(page.locator("#live-label")).to_have_text(page.locator("#live-legend li").last.inner_text())
    expect(page.locator("#live-state")).to_contain_text("pages, version 1: a label each")
    page.wait_for_function("() => [...live].at(-1).plot.data[0].at(-1) > 45")
    (first_s, last_s, samples), _, _, (z, _, _) = shown(page)
    assert (19 < last_s - first_s <= 20, samples <= 1001, z) == (True, True, 9.8)
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in {"serious", "critical"}] == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    if folder := os.environ.get("PSKD_SHOTS"):
        page.screenshot(path=Path(folder) / f"live-{colours}.png", full_page=True)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#live-state")).to_have_text("Stopped.")
    expect(page.get_by_role("button", name=START)).to_be_enabled()


def test_signs_are_turned_where_they_are_ios(page: Page, job_id: str) -> None:
    """An iPhone asks its user first, and its signs are turned by themselves to those of Android."""
    assert job_id
    page.add_init_script("DeviceMotionEvent.requestPermission = async () => window.answer")
    page.add_init_script(
        "Object.defineProperty(navigator, 'userAgent', { value: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5)' })"
    )
    page.goto("/classify?model=pages")
    expect(page.get_by_label("Turn the signs")).to_be_checked()
    page.evaluate("window.answer = 'denied'")
    page.get_by_role("button", name=START).click()
    expect(page.locator("#live-state")).to_contain_text("was not allowed")
    page.evaluate("window.answer = 'granted'")
    page.get_by_role("button", name=START).click()
    expect(page.locator("#live-state")).to_contain_text("Waiting")
    page.evaluate(SENSOR)
    expect(page.locator("#live-trace canvas")).to_be_visible()
    assert shown(page)[3][0] == -9.8
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#live-state")).to_have_text("Stopped.")


def test_what_is_not_there_is_told(page: Page, job_id: str) -> None:
    """A computer has no sensor, and a version that is not there gives no stream; the page says which, and goes on."""
    assert job_id
    page.goto("/classify?model=pages")
    page.get_by_role("button", name=START).click()
    expect(page.locator("#live-state")).to_contain_text("No sensor reports")
    expect(page.get_by_role("button", name=START)).to_be_enabled()
