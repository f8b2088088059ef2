"""``python -m tako.cli`` is ``tako``, and what lies in the current folder is no more a plugin of it than of that."""

import os
import sys

from tako.cli.run import main

if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - as Python has put it there
    del sys.path[0]
sys.exit(main())
