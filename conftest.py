"""For all tests: no general plugin of this repository is on but by its own tests, and standard input is empty.

No property test has a clock, and each tries the same examples every time; ``TAKO_EXPLORE=1`` has them try new ones.
"""

import io
import os
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Many tests start a Python: each module is compiled once for all of them, even where Python is told not to keep it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(Path(__file__).parent / ".pytest_cache" / "bytecode")
sys.dont_write_bytecode = False
os.environ.setdefault("TAKO_DISABLE_PLUGINS", "cache,otel,prices,record")
settings.register_profile(
    "tako",
    deadline=None,
    derandomize=not os.environ.get("TAKO_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tako")


@pytest.fixture(scope="session", autouse=True)
def _plugins() -> None:
    """Look for general plugins now: a test that changes these variables must not be the first to do so."""
    from tako.hooks import PLUGINS

    PLUGINS.load()


@pytest.fixture(autouse=True)
def _no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard input be empty, as `< /dev/null` is: pytest's own can't be read."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.fixture(scope="session")
def llamacpp() -> None:
    """For tests that run a model in this process."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.importorskip("xllamacpp", reason="xllamacpp has no wheel for free-threaded Python")
