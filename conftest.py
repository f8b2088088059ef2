"""For all tests: this repository's general plugins are installed, but each is switched on by its own tests alone."""

import os

os.environ.setdefault("TAKO_DISABLE_PLUGINS", "cache,otel,prices,record")
