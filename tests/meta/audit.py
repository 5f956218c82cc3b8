"""Known vulnerabilities of what the lock pins: `make audit`, which says so where nobody could tell.

pip-audit itself ends well if it finds no data on a package; here that counts as not audited.
"""

import json
import subprocess
import sys
from typing import Any

from tests.meta.project import BIN, ROOT

LOCK = "requirements.lock"
_VULNERABLE, _UNKNOWN = 1, 2  # exit statuses
_PIP_AUDIT = (
    BIN / "pip-audit", "--requirement", LOCK, "--no-deps", "--disable-pip", "--format", "json",
    "--progress-spinner", "off",
)  # fmt: skip


def verdict(output: str, errors: str) -> tuple[int, str]:
    """The exit status, and what to say, of what pip-audit has printed."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        return _UNKNOWN, f"NOT AUDITED: pip-audit has no result, most likely for want of a way to its data: {last}"
    found = [_line(package, each) for package in packages for each in package.get("vulns", ())]
    if found:
        return _VULNERABLE, "\n".join([f"{len(found)} known vulnerabilities in {LOCK}:", *found])
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped or not packages:
        why = skipped[0]["skip_reason"] if skipped else "the list is empty"
        count = f"{len(skipped)} of {len(packages)} packages"
        return _UNKNOWN, f"NOT AUDITED: on {count} there was no data, so nothing is known of them; the first: {why}"
    return 0, f"{len(packages)} packages of {LOCK} have no known vulnerability"


def _line(package: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    mended = ", ".join(vulnerability.get("fix_versions", ())) or "no version yet"
    return f"  {package['name']} {package['version']}: {vulnerability['id']}, mended in {mended}"


def main() -> int:
    """Audit, say what came out, and end with its status."""
    ended = subprocess.run(_PIP_AUDIT, cwd=ROOT, capture_output=True, text=True, check=False)
    status, said = verdict(ended.stdout, ended.stderr)
    sys.stdout.write(f"{said}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
