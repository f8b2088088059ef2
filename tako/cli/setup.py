"""``tako setup embedded``: download the small model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tako.cli.models import EMBEDDED
from tako.cli.run import print_to_stderr
from tako.cli.session import print_json
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Run the command."""
    cls: Any = PLUGINS.provider_class(EMBEDDED)
    path = cls.setup(print_to_stderr)
    if options.json:
        print_json({"model": str(path)})
    else:
        sys.stdout.write(f"The embedded model is ready: {path}\n")
    return 0
