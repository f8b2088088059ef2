"""Check that names in the code are plain terms: none of the words below names a variable, a field or a function.

``python .ci/names.py`` checks tako, plugins, benchmarks, tests and ``.ci``, and exits with 1 if it finds one.
``python .ci/names.py FILE_OR_FOLDER ...`` checks those only, and ``--count`` prints a line for each file.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
CHECKED = ("tako", "plugins", "benchmarks", "tests", ".ci", "conftest.py")

INSTEAD: dict[str, str] = {
    "said": "notices, text or message: what the value is",
    "asked": "request, requested or question",
    "asking": "request, or what the module does",
    "lacks": "missing",
    "found": "match, matches, or the kind of thing",
    "it": "the kind of thing: item, part, block, entry",
    "word": "finish_reason, value or name",
    "words": "names, values or args",
    "told": "message, or notified",
    "wanted": "expected, requested or target",
    "given": "value, argument or options",
    "made": "the kind of thing: response, error, part, body",
    "came": "received",
    "took": "duration or seconds",
    "takes": "accepts, or supports",
    "holds": "contains, or the name of the check",
    "knows": "has, or is_known",
    "whole": "full, complete, or the kind of thing",
    "decide": "choose, or the name of what is chosen",
    "loose": "the kind of thing",
    "why": "reason",
    "who": "provider, sender or name",
    "what": "subject, description or kind",
}
"""Words that name nothing, and what says more."""


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield each name that a module gives, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store(), lineno=line) | ast.arg(arg=name, lineno=line):
                yield line, name
            case ast.Attribute(attr=name, ctx=ast.Store(), lineno=line):
                yield line, name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.alias(asname=str(name), lineno=line):
                yield line, name
            case ast.MatchAs(name=str(name), lineno=line) | ast.MatchStar(name=str(name), lineno=line):
                yield line, name
            case _:
                pass


def places(path: Path) -> list[tuple[int, str]]:
    """Return where a file gives one of these names, its own included."""
    stem = [(1, path.stem)] if path.stem.strip("_").lower() in INSTEAD else []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return stem + [(line, name) for line, name in names(tree) if name.strip("_").lower() in INSTEAD]


def files(arguments: list[str]) -> list[Path]:
    """Return the Python files that are named, or that are in the folders that are."""
    roots = [Path(argument).resolve() for argument in arguments] or [ROOT / name for name in CHECKED]
    modules = (path for root in roots for path in ([root] if root.is_file() else root.rglob("*.py")))
    return sorted(path for path in modules if not {".venv", "build", ".git"} & {*path.parts})


def main() -> int:
    """Print each place."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--count"]
    bad = {path: lines for path in files(arguments) if (lines := places(path))}
    for path, lines in bad.items():
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if "--count" in sys.argv:
            counts = Counter(name for _, name in lines)
            print(f"{shown}: {', '.join(f'{name} {count}' for name, count in counts.most_common())}")
            continue
        for line, name in sorted(lines):
            print(f"{shown}:{line}: {name}: write {INSTEAD[name.strip('_').lower()]}")
    total = sum(map(len, bad.values()))
    print(f"{total} names in {len(bad)} files" if bad else "plain")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
