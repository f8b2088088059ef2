"""Check that names in the code are plain terms: none of the words below names a variable, a field or a function.

``python .ci/names.py`` checks tako, plugins, benchmarks, tests, ``.ci``, and the Python in Markdown pages.
It exits with 1 if there is such a name.
``python .ci/names.py FILE_OR_FOLDER ...`` checks those only, and ``--count`` prints a line for each file.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
CHECKED = ("tako", "plugins", "benchmarks", "tests", ".ci", "conftest.py", "docs", "README.md", "CONTRIBUTING.md")
BLOCK = re.compile(r"^```python(?: .*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""Python in a page."""

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
"""Words that don't say what a value is, and better names."""

PUBLIC: dict[str, frozenset[str]] = {
    "docs/authors.md": frozenset(("whole", "words")),
    "tako/kit/exchange.py": frozenset(("whole",)),
    "tako/kit/files.py": frozenset(("takes",)),
    "tako/kit/keys.py": frozenset(("given",)),
    "tako/kit/schemas/tool_names.py": frozenset(("takes",)),
    "tako/testing/dialects/": frozenset(("Asked", "whole", "word", "words")),
    "tako/testing/script.py": frozenset(("word",)),
}
"""Names that plugins use, which stay, by the beginning of a path."""


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield each name that a module defines, with its line."""
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


def python_of(page: str) -> str:
    """Return the Python of a page, on the lines that it has there."""
    code = ["" for _ in page.splitlines()]
    for block in BLOCK.finditer(page):
        lines, first = block[1].splitlines(), page.count("\n", 0, block.start(1))
        code[first : first + len(lines)] = lines
    return "\n".join(code)


def bad_names(path: Path) -> list[tuple[int, str]]:
    """Return the lines and names in a file that are on the list and not public. The file's own name counts."""
    public = {
        name
        for start, listed in PUBLIC.items()
        if path.as_posix().startswith(f"{ROOT.as_posix()}/{start}")
        for name in listed
    }
    text = path.read_text(encoding="utf-8")
    is_page = path.suffix == ".md"
    stem = [(1, path.stem)] if path.stem.strip("_").lower() in INSTEAD and not is_page else []
    tree = ast.parse(python_of(text) if is_page else text)
    bad = [(line, name) for line, name in names(tree) if name.strip("_").lower() in INSTEAD]
    return stem + [(line, name) for line, name in bad if name not in public]


def files(arguments: list[str]) -> list[Path]:
    """Return the Python files and the pages in the arguments and in their folders."""
    roots = [Path(argument).resolve() for argument in arguments] or [ROOT / name for name in CHECKED]
    paths = (path for root in roots for path in ([root] if root.is_file() else root.rglob("*")))
    return sorted(
        path for path in paths if path.suffix in (".py", ".md") and not {".venv", "build", ".git"} & {*path.parts}
    )


def main() -> int:
    """Print each name."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--count"]
    bad_by_file = {path: lines for path in files(arguments) if (lines := bad_names(path))}
    for path, lines in bad_by_file.items():
        file = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if "--count" in sys.argv:
            counts = Counter(name for _, name in lines)
            print(f"{file}: {', '.join(f'{name} {count}' for name, count in counts.most_common())}")
            continue
        for line, name in sorted(lines):
            print(f"{file}:{line}: {name}: write {INSTEAD[name.strip('_').lower()]}")
    total = sum(map(len, bad_by_file.values()))
    print(f"{total} names in {len(bad_by_file)} files" if bad_by_file else "plain")
    return bool(bad_by_file)


if __name__ == "__main__":
    sys.exit(main())
