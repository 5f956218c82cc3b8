"""`make audit` never takes silence for safety; `bandit` looks at the product."""

import json
import subprocess
from pathlib import Path

from tests.meta.audit import verdict
from tests.meta.project import BIN, ROOT

SOUND = {"name": "numpy", "version": "2.4", "vulns": []}
WEAK = {"name": "old", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"], "description": "…"}]}
UNKNOWN = {"name": "new", "skip_reason": "Dependency not found and could not be audited: new (1.0)"}


def said(*packages: object) -> tuple[int, str]:
    return verdict(json.dumps({"dependencies": packages, "fixes": []}), "")


def test_only_a_complete_audit_without_finds_is_a_good_one() -> None:
    """Every package was looked up and none has a known vulnerability."""
    assert said(SOUND, SOUND) == (0, "2 packages of requirements.lock have no known vulnerability")


def test_a_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    """Whatever else could not be looked up, what was found is told."""
    status, text = said(SOUND, WEAK, UNKNOWN)
    assert status == 1
    assert "old 1.0: CVE-1, mended in 1.1" in text


def test_a_package_without_data_is_not_audited() -> None:
    """pip-audit ends well there; here the status is another than that of a vulnerability, and the reason is told."""
    status, text = said(SOUND, UNKNOWN)
    assert status == 2
    assert text.startswith("NOT AUDITED: on 1 of 2 packages there was no data")
    assert "could not be audited: new (1.0)" in text


def test_no_result_is_not_audited() -> None:
    """Without a network pip-audit prints no JSON; its last line says why."""
    for output in ("", "[]", "{}"):
        status, text = verdict(output, "Traceback\nConnectionError: no route to host\n")
        assert (status, text.endswith("ConnectionError: no route to host")) == (2, True)
    assert said()[0] == 2


def test_bandit_finds_what_it_should_under_our_configuration(tmp_path: Path) -> None:
    """What is skipped is asserts and programs without a shell: a shell, an eval and a pickle are found."""
    bad = tmp_path / "bad.py"
    bad.write_text("import pickle\nimport subprocess\neval(input())\nsubprocess.run('ls', shell=True)\n")
    bandit = [
        str(BIN / "bandit"),
        "--quiet",
        "--configfile",
        str(ROOT / "pyproject.toml"),
        "--format",
        "json",
        str(bad),
    ]
    ended = subprocess.run(bandit, capture_output=True, text=True, check=False)
    found = {each["test_id"] for each in json.loads(ended.stdout)["results"]}
    assert {"B403", "B307", "B602"} <= found
