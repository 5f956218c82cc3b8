"""Every page in a real browser: usable by everyone, in both colours, on a desk and on a phone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from client.api import Client
from tests.e2e.browsing import MARKS, PHONE, SWEEP, recording
from tests.e2e.processes import eventually

pytestmark = MARKS
PAGES = (
    "/jobs", "/jobs/new", "/jobs/{job}", "/sweeps", "/sweeps/{sweep}", "/leaderboard?published=true",
    "/leaderboard/{row}", "/leaderboard/compare?a={row}&b={row}", "/classify", "/datasets", "/datasets/{dataset}",
    "/models", "/models/pages", "/system", "/keys",
)  # fmt: skip


@pytest.fixture(scope="module")
def ids(stack_url: str, job_id: str, dataset_id: str) -> Mapping[str, str]:
    """What the addresses name: a job, its row, its dataset, a sweep; and a dataset that failed for a long reason."""
    with Client(stack_url) as client:
        sweep = client.submit_sweep(SWEEP)
        for _ in client.follow_sweep(sweep.id):
            pass
    long = {"name": "n" * 100, "source": {"kind": "path", "path": f"/nowhere/{'x' * 100}"}}
    made = httpx.post(f"{stack_url}/v1/datasets", json=long).raise_for_status().json()
    assert eventually(
        lambda: httpx.get(f"{stack_url}/v1/datasets/{made['id']}").json()["state"] == "failed", within_s=60
    )
    row = httpx.get(f"{stack_url}/v1/leaderboard").json()["items"][0]["id"]
    return {"job": job_id, "row": row, "dataset": dataset_id, "sweep": sweep.id}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("colours", "size"), [("light", None), ("dark", PHONE)], ids=["light", "dark, phone"])
def test_everyone_can_use_every_page(
    page: Page, ids: Mapping[str, str], tmp_path: Path, path: str, colours: Any, size: Any
) -> None:
    """By axe there is nothing serious on any page, and none is wider than a phone."""
    page.emulate_media(color_scheme=colours)
    if size:
        page.set_viewport_size(size)
    page.goto(path.format(**ids))
    match path:
        case "/classify":
            page.locator("#file").set_input_files(recording(tmp_path))
            expect(page.locator("#answer-label")).not_to_be_empty()
        case "/jobs/{job}":
            expect(page.locator("#charts canvas").first).to_be_visible()
        case "/datasets/{dataset}":
            page.get_by_role("button", name="a1_s1_t1").click()
            expect(page.locator("#series canvas")).to_have_count(3)
    result = Axe().run(page)
    serious = [each for each in result.response["violations"] if each["impact"] in {"serious", "critical"}]
    assert [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in serious] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
