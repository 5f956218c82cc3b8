"""The package as others install it: a wheel in an empty environment, away from the checkout."""

import json
import math
import os
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.processes import eventually, naming
from tests.meta.project import ROOMS, ROOT
from tests.services import short_folder
from tests.small import SMALL_SPEC

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
USE_OF_SDK = """
from client.api import Client

with Client() as service:
    reveal_type([each.state for each in service.jobs()])
    service.job(7)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that this checkout builds."""
    folder = tmp_path_factory.mktemp("dist")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *options, str(ROOT)], check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that holds the wheel, and reads its dependencies from that of the tests."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    # A folder that is named in a .pth is searched without its own .pth files: the checkout itself stays out.
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture
def home() -> Iterator[Path]:
    with short_folder("pskd-wheel-") as folder:
        yield folder


def test_wheel_holds_the_product_under_one_name(wheel: Path) -> None:
    """Code, migrations, pages, presets and templates, none of the tests, and no `api` or `store` in site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"pskd", "pskd.pth"}
    files = (file for room in ROOMS for file in (ROOT / room).rglob("*") if file.is_file())
    wanted = {f"pskd/{file.relative_to(ROOT)}" for file in files if "__pycache__" not in file.parts}
    assert {name for name in names if name.startswith("pskd/")} == wanted


def test_installed_wheel_trains_and_classifies(installed: Path, home: Path) -> None:
    """`pip install`, then `pskd up`, a dataset, a job and a recording, in a folder that holds nothing of ours."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PSKD_", "PYTHON"))}
    (home / "spec.yaml").write_text(yaml.safe_dump({**SMALL_SPEC, "name": "small", "dataset": "made"}))
    rows = (f"{number / 50:.2f},{math.sin(number / 9):.4f},0.1,0.98" for number in range(200))
    (home / "recording.csv").write_text("\n".join(["time (s),x (g),y (g),z (g)", *rows]))
    command = [str(installed / "pskd"), "up", "--home", "state", "--port", "0", "--mlflow-port", "0", "--json"]
    with subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as up:
        try:
            assert up.stdout is not None
            url = json.loads(up.stdout.readline())["url"]

            def pskd(*arguments: str) -> str:
                asked = [installed / "pskd", "--url", url, *arguments]
                done = subprocess.run(asked, cwd=home, env=environment, check=True, stdout=subprocess.PIPE, text=True)
                return done.stdout

            pskd("dataset", "add", "--synthetic", "--name", "made")
            pskd("submit", "spec.yaml", "--wait")
            answer = json.loads(pskd("classify", "recording.csv", "--model", "small", "--json"))
        finally:
            up.send_signal(signal.SIGINT)
            code = up.wait(60)
    assert answer["label"]
    assert answer["windows"]
    assert code == 0
    assert eventually(lambda: not naming(home / "state"), within_s=60)


def test_installed_sdk_is_typed(installed: Path, tmp_path: Path) -> None:
    """A type checker of another project knows what the SDK answers, and finds a wrong argument."""
    (tmp_path / "use.py").write_text(USE_OF_SDK)
    checker = [sys.executable, "-m", "mypy", "--python-executable", str(installed / "python"), "use.py"]
    found = subprocess.run(checker, cwd=tmp_path, check=False, stdout=subprocess.PIPE, text=True).stdout
    assert 'Revealed type is "list[str]"' in found.replace("builtins.", "")
    assert 'Argument 1 to "job" of "Client" has incompatible type "int"' in found
