"""``tako setup embedded``: the small model for those who install with pip."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tako.cli.models import EMBEDDED
from tako.cli.run import complain
from tako.cli.session import print_json
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Carry out the command."""
    cls: Any = PLUGINS.provider_class(EMBEDDED)
    place = cls.setup(complain)
    if options.json:
        print_json({"model": str(place)})
    else:
        sys.stdout.write(f"The embedded model is ready: {place}\n")
    return 0
