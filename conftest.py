"""For all tests: the general plugins of this repository are installed, but each is switched on by its own tests alone."""

import os

os.environ.setdefault("TAKO_DISABLE_PLUGINS", "cache,otel,prices,record")
