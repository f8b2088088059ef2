"""Print how the declarations differ from the SDKs that are installed: ``python -m tests.drift``."""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.util import find_spec

from tests.drift.declared import ROOT, drift_of, files, packages

DISTRIBUTIONS = {"google": "google-genai"}


def main() -> None:
    """Print the counts of each file, then what is unknown and what is gone."""
    for file in files():
        modules = packages(file)
        versions = (
            [
                f"{name} {metadata.version(name)}"
                for module in sorted(modules)
                if (name := DISTRIBUTIONS.get(module, module))
            ]
            if all(find_spec(module) for module in modules)
            else []
        )
        report = str(drift_of(file)) if versions else f"NOT CHECKED: {', '.join(sorted(modules))} isn't installed"
        sys.stdout.write(f"{file.parent.relative_to(ROOT)}: {', '.join(versions)}: {report}\n")


if __name__ == "__main__":
    main()
