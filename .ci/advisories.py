"""List dependencies with known advisories: `python .ci/advisories.py NAME REPORT.json`, a report of pip-audit."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(name: str, report: Path) -> None:
    """Print a line for each advisory, or the reason why there are none."""
    text = report.read_text() if report.exists() else ""
    dependencies = json.loads(text)["dependencies"] if text else []
    checked = [dependency for dependency in dependencies if "vulns" in dependency]
    lines = [
        f"{dependency['name']} {dependency['version']}: {', '.join([advisory['id'], *advisory['aliases']])}; "
        f"fixed in {', '.join(advisory['fix_versions']) or 'no version'}"
        for dependency in checked
        for advisory in dependency["vulns"]
    ]
    if not checked:
        lines = ["NOT CHECKED: the advisory service can't be reached from here"]
    elif len(checked) < len(dependencies):
        missing = sorted(dependency["name"] for dependency in dependencies if "vulns" not in dependency)
        lines.append(f"NOT CHECKED: {', '.join(missing)}")
    lines = lines or ["no known advisories"]
    sys.stdout.write("".join(f"{name} versions, {len(checked)} checked: {line}\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
