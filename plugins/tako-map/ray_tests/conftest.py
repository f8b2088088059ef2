"""Where Ray is not installed, there is nothing to collect."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("ray") else ["test_ray.py"]
