"""Pictures of every page for the docs: `make screenshots`. A stack trains on made data, and then is looked at."""

import csv
import io
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from client.api import Client
from client.local import Options, stack
from tests.e2e.browsing import CHROMIUM
from tests.e2e.keyed import asking_for_keys
from tests.services import short_folder

OUT = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SIZES: Mapping[str, ViewportSize] = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 800}}
COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_TALLEST = 1500  # pixels of a page that are shown
_QUALITY = 78
_TRAINING = {"epochs": 30, "batch_size": 32}
PAGES = {
    "jobs": "/jobs",
    "new-job": "/jobs/new?dataset=waves&preset=demo",
    "job": "/jobs/{job}",
    "sweeps": "/sweeps",
    "sweep": "/sweeps/{sweep}",
    "leaderboard": "/leaderboard?published=true",
    "row": "/leaderboard/{row}",
    "compare": "/leaderboard/compare?a={row}&b={other}",
    "classify": "/classify",
    "datasets": "/datasets",
    "dataset": "/datasets/{dataset}",
    "models": "/models",
    "model": "/models/watch",
    "system": "/system",
    "keys": "/keys",
}


def main() -> int:
    """Entry point; returns the exit status."""
    if CHROMIUM is None:
        sys.stderr.write("no browser is installed; on Debian: apt-get install chromium\n")
        return 1
    with (
        short_folder("pskd-pictures-") as home,
        stack(Options(home, port=0, mlflow_port=0), say=lambda text: None, stopping=threading.Event()) as addresses,
        Client(addresses.url) as service,
        sync_playwright() as playwright,
        TemporaryDirectory() as folder,
    ):
        ids, recording = _prepare(service), Path(folder) / "morning.csv"
        recording.write_text(_recording(service, ids["dataset"]), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size, viewport in SIZES.items():
            for colours in COLOURS:
                page = browser.new_context(
                    base_url=addresses.url, viewport=viewport, color_scheme=colours, reduced_motion="reduce"
                ).new_page()
                for name, path in PAGES.items():
                    page.goto(path.format(**ids))
                    _wait_for(page, name, recording)
                    _keep(page.screenshot(full_page=True), OUT / f"{name}-{size}-{colours}.webp", viewport)
                with asking_for_keys(addresses.home) as (url, _):
                    page.goto(f"{url}/sign-in")
                    _keep(page.screenshot(), OUT / f"sign-in-{size}-{colours}.webp", viewport)
        browser.close()
    return 0


def _prepare(service: Client) -> Mapping[str, str]:
    """A dataset, two rows to compare, a sweep; the ids of all."""
    dataset = service.wait_for_dataset(service.import_synthetic("waves").id)
    base: dict[str, Any] = {"preset": "demo", "dataset": "waves", "training": _TRAINING}
    taught = service.submit({**base, "name": "watch", "seeds": [0, 1, 2]})
    alone = service.submit({**base, "name": "watch alone", "method": {"kind": "none"}, "seeds": [0, 1, 2]})
    sweep = service.submit_sweep(
        {
            "name": "width and features",
            "base": {**base, "method": {"kind": "none"}, "training": {**_TRAINING, "epochs": 6},
                     "validation": {"kind": "subjects", "subjects": ["3"]}},
            "space": {"student.backbone.width": {"choices": [8, 16, 32]}, "feature_dim": {"choices": [16, 64]}},
        }
    )  # fmt: skip
    for job in (taught, alone):
        service.wait(job.id)
    for _ in service.follow_sweep(sweep.id):
        pass
    by_method = {row.method: row.id for row in service.leaderboard(dataset="waves")}
    ids = {"dataset": dataset.id, "job": taught.id, "sweep": sweep.id}
    return {**ids, "row": by_method["pskd"], "other": by_method["none"]}


def _recording(service: Client, dataset_id: str) -> str:
    """Recordings of several classes one after another, as one file of a logger."""
    text, end_s = io.StringIO(), 0.0
    table = csv.writer(text)
    table.writerow(["time (s)", "x (g)", "y (g)", "z (g)"])
    for _, recording_id in zip(range(4), _one_a_class(service, dataset_id), strict=False):
        series = service.recording(dataset_id, recording_id).series["accelerometer"]
        table.writerows([end_s + at_s, *row] for at_s, row in zip(series.t_s, series.values, strict=True))
        end_s += series.t_s[-1] + series.t_s[1]
    return text.getvalue()


def _one_a_class(service: Client, dataset_id: str) -> Iterator[str]:
    seen = set[str]()
    for recording in service.recordings(dataset_id):
        if recording.label not in seen:
            seen.add(recording.label)
            yield recording.id


def _wait_for(page: Page, name: str, recording: Path) -> None:
    """What a page draws once it has been opened, or once somebody acts."""
    match name:
        case "classify":
            page.locator("#model").select_option("watch")
            page.locator("#file").set_input_files(recording)
            expect(page.locator("#answer-label")).not_to_be_empty()
        case "job":
            expect(page.locator("#charts canvas").first).to_be_visible()
        case "dataset":
            page.get_by_role("button", name="a1_s1_t1").click()
            expect(page.locator("#series canvas").first).to_be_visible()
        case "new-job":
            expect(page.locator("#estimate")).to_contain_text("steps")
    page.wait_for_timeout(500)  # lines are drawn a frame later


def _keep(png: bytes, file: Path, viewport: ViewportSize) -> None:
    """The upper part of a page, small enough for a repository."""
    with Image.open(io.BytesIO(png)) as picture:
        shown = picture.convert("RGB").crop((0, 0, viewport["width"], min(picture.height, _TALLEST)))
    file.parent.mkdir(parents=True, exist_ok=True)
    shown.save(file, "WEBP", quality=_QUALITY, method=6)


if __name__ == "__main__":
    sys.exit(main())
