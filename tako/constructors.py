"""Constructors of providers: ``$ENV:NAME`` is resolved in their options, and their frames show no secrets."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from tako.environment import resolve_call
from tako.errors import ConfigurationError, TakoError
from tako.keywords import read_defaults

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap_init(init: Callable[..., None]) -> Callable[..., None]:
    """Resolve ``$ENV:NAME`` in what a constructor is given, and keep its frames out of the tracebacks of tako's errors.

    The locals of these frames are keys and headers. ``defaults`` and ``label`` are options of every provider: the
    constructors of subclasses don't get them.
    """

    @wraps(init)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            args, options = resolve_call(init, args, options, args[0].name)
            defaults, label = options.pop("defaults", None), options.pop("label", None)
            init(*args, **options)
            if defaults is not None:
                args[0].defaults = read_defaults(defaults, args[0])
            if label is not None:
                args[0].label = label
        except TakoError as error:
            failure: BaseException = error.with_traceback(None)
        except RecursionError:
            failure = ConfigurationError(f"{args[0].name}: an option is nested too deeply, or holds itself")
        except BaseException as error:  # noqa: BLE001 - a plugin's own mistake keeps its traceback
            failure = error
        else:
            return
        args, options = (), {}  # this frame shows nothing either
        raise failure

    return wrapped
