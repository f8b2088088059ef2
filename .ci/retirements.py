"""List models in the tables that vendors turn off soon: `python .ci/retirements.py`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from tako.builtin.guard import NOTICE_PERIOD, describe_retirement
from tako.kit.models import ModelTable


def main() -> None:
    """Print a line for each such model, and the date and the source of each table."""
    today = datetime.now(UTC).date()
    for path in sorted(Path(__file__).parent.parent.glob("plugins/*/tako_*/models.toml")):
        table = ModelTable(path.parent.name)
        if table.life.date is not None:
            sys.stdout.write(f"{table.package}: days as of {table.life.date} ({table.life.source})\n")
        for row in table.rows:
            if row.retires is not None and today <= row.retires <= today + NOTICE_PERIOD:
                sys.stdout.write(f"  {row.id} {describe_retirement(table.find(row.id))}\n")


if __name__ == "__main__":
    main()
