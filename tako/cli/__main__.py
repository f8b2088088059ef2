"""``python -m tako.cli`` is ``tako``."""

import sys

from tako.cli.run import main

sys.exit(main())
