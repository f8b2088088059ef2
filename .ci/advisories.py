"""Say which dependencies have known advisories: `python .ci/advisories.py NAME REPORT.json`, a report of pip-audit."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(name: str, report: Path) -> None:
    """Print a line for each advisory, or why there are none."""
    text = report.read_text() if report.exists() else ""
    dependencies = json.loads(text)["dependencies"] if text else []
    checked = [each for each in dependencies if "vulns" in each]
    lines = [
        f"{each['name']} {each['version']}: {', '.join([one['id'], *one['aliases']])}; "
        f"fixed in {', '.join(one['fix_versions']) or 'no version'}"
        for each in checked
        for one in each["vulns"]
    ]
    if not checked:
        lines = ["NOT CHECKED: the advisory service can't be reached from here"]
    elif len(checked) < len(dependencies):
        missing = sorted(each["name"] for each in dependencies if "vulns" not in each)
        lines.append(f"NOT CHECKED: {', '.join(missing)}")
    lines = lines or ["no known advisories"]
    sys.stdout.write("".join(f"{name} versions, {len(checked)} checked: {line}\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
