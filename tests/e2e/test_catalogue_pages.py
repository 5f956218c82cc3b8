"""Pages of what there is, in a real browser: sweeps, keys, datasets, models, workers."""

import shutil
import zipfile
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect

from client.api import Client
from client.template import write_template
from tests.e2e.browsing import MARKS, SWEEP

pytestmark = MARKS


def test_a_sweep_is_watched_to_its_best(page: Page, service: Client, dataset_id: str) -> None:
    """List and page follow the trials; the map has a score a cell; the best leads to a new job; deleting leads back."""
    assert dataset_id
    page.goto("/sweeps")
    row = page.locator("#list tbody tr", has_text="watched")
    expect(row).to_have_count(0)
    sweep = service.submit_sweep({**SWEEP, "name": "watched"})
    expect(row).to_contain_text("4 of 4", timeout=120_000)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded")
    expect(page.locator(".heat td.right")).to_have_count(4)
    expect(page.locator("tr.best")).to_have_count(1)
    first = page.get_by_role("link", name="Trial 1", exact=True)
    assert first.get_attribute("href") == f"/jobs/{service.sweep(sweep.id).trials[0].job_id}"
    page.get_by_role("link", name="New job from the best").click()
    expect(page.get_by_label("Name", exact=True).first).to_have_value("watched best")
    page.go_back()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/sweeps")
    expect(row).to_have_count(0)


def test_a_sweep_is_cancelled(page: Page, service: Client, dataset_id: str) -> None:
    """One that runs is stopped from its page, which then shows what became of it."""
    assert dataset_id
    long = {**SWEEP["base"], "training": {"epochs": 5000, "batch_size": 16}}
    sweep = service.submit_sweep({**SWEEP, "name": "long", "base": long})
    page.goto(f"/sweeps/{sweep.id}")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled", timeout=60_000)
    service.delete_sweep(sweep.id, force=True)


def test_a_key_is_made_shown_once_and_revoked(browser: Browser, keyed: tuple[str, str]) -> None:
    """A form without a scope says so; the new key opens the service and is shown until the next visit."""
    url, secret = keyed
    page = browser.new_context(base_url=url).new_page()
    page.goto("/keys")
    page.get_by_label("Key").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Name").fill("watch")
    page.get_by_label("read").uncheck()
    page.get_by_role("button", name="Make").click()
    expect(page.locator("#fault")).to_contain_text("scopes")
    page.get_by_label("read").check()
    page.get_by_role("button", name="Make").click()
    expect(page.locator("#secret")).to_contain_text("pskd_")
    made = str(page.locator("#secret").text_content())
    bearing = {"Authorization": f"Bearer {made}"}
    assert httpx.get(f"{url}/v1/jobs", headers=bearing).status_code == 200
    assert httpx.get(f"{url}/v1/keys", headers=bearing).status_code == 403
    page.reload()
    expect(page.locator("#made")).to_be_hidden()
    assert made not in page.content()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke watch").click()
    expect(page.locator("tr", has_text="watch")).to_contain_text("revoked")


def test_a_zip_is_uploaded_and_read(page: Page, tmp_path: Path) -> None:
    """What was sent is listed and becomes ready; a name that is taken and a zip of nothing say why they are not."""
    write_template(tmp_path / "mine")
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "mine")
    page.goto("/datasets")
    page.locator("#zip").set_input_files(archive)
    page.get_by_label("Name", exact=True).first.fill("from a browser")
    page.get_by_role("button", name="Upload").click()
    row = page.locator("#list tbody tr", has_text="from a browser")
    expect(row).to_contain_text("ready", timeout=60_000)
    expect(row).to_contain_text("18")
    page.locator("#zip").set_input_files(archive)
    page.get_by_label("Name", exact=True).first.fill("from a browser")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#sent-text")).to_contain_text("there is already a dataset 'from a browser'")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as empty:
        empty.writestr("readme.txt", "nothing")
    page.locator("#zip").set_input_files(tmp_path / "empty.zip")
    page.get_by_label("Name", exact=True).first.fill("of nothing")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#list tbody tr", has_text="of nothing")).to_contain_text("failed", timeout=60_000)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("from a browser")


def test_a_version_is_promoted_and_the_gate_is_told(page: Page, service: Client, job_id: str) -> None:
    """The better version comes to answer; the worse one is refused with both figures, and the better goes on."""
    assert len(list(service.runs(job_id))) == 2
    versions = httpx.get(f"{service.url}/v1/models/pages").json()["items"]
    accuracy = {each["version"]: each["metrics"]["test"]["accuracy"] for each in versions}
    worse, better = sorted(accuracy, key=accuracy.__getitem__)[:: len(accuracy) - 1]
    service.promote("pages", worse, force=True, reason="for a test")
    page.goto("/models/pages")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator(f"[data-promotes='{better}']").click()
    expect(page.get_by_text(f"Version {better} answers now.")).to_be_visible()
    expect(page.locator(f"[data-promotes='{better}']")).to_have_count(0)
    expect(page.locator("table", has_text="From").locator("tbody tr").first).to_contain_text(str(better))
    if accuracy[worse] < accuracy[better]:
        page.locator(f"[data-promotes='{worse}']").click()
        expect(page.get_by_text(f"{100 * accuracy[better]:.1f}")).to_be_visible()
        expect(page.locator(f"[data-promotes='{better}']")).to_have_count(0)
