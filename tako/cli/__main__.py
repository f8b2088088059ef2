"""``python -m tako.cli`` is ``tako``. Neither of them imports modules from the current folder as plugins."""

import os
import sys

from tako.cli.run import main

if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - as Python wrote it
    del sys.path[0]
sys.exit(main())
