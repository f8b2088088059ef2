"""What `import tako` costs, and what it offers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import tako

HEAVY = (
    "httpx",
    "httpcore",
    "httptools",
    "stamina",
    "tenacity",
    "boto3",
    "botocore",
    "google",
    "rich",
    "click",
    "typer",
    "anyio",
    "certifi",
    "yarl",
)


def modules_after(code: str) -> list[str]:
    program = (
        f"import sys, json\nbefore = set(sys.modules)\n{code}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_importing_tako_imports_next_to_nothing() -> None:
    imported = modules_after("import tako")
    assert [name for name in imported if name.partition(".")[0] in HEAVY] == []
    assert [name for name in imported if name.startswith("tako_")] == []
    assert len(imported) < 0.5 * len(modules_after("import msgspec, pluggy"))


def test_all_names_together_import_nothing_heavy() -> None:
    imported = modules_after("import tako\nfor name in tako.__all__: getattr(tako, name)")
    assert [name for name in imported if name.partition(".")[0] in HEAVY and not name.startswith("anyio")] == []


def test_a_provider_that_is_made_but_not_used_imports_no_transport() -> None:
    code = (
        "import tako\ntako.providers.OpenAI('m', api_key='k')\ntako.get_provider('openai:m', api_key='k').capabilities"
    )
    imported = modules_after(code)
    assert [
        name
        for name in imported
        if name.partition(".")[0] in {"httpx", "httpcore", "boto3", "google", "rich", "click", "typer", "stamina"}
    ] == []


def test_the_public_names_are_few_there_and_documented() -> None:
    assert len(tako.__all__) <= 40
    assert len(set(tako.__all__)) == len(tako.__all__)
    assert dir(tako) == list(tako.__all__)
    for name in tako.__all__:
        value = getattr(tako, name)
        if name not in {"Around", "Chat", "Stream", "hookimpl"}:  # aliases of types, and pluggy's own marker
            assert value.__doc__, name


def test_no_module_has_the_name_of_something_else() -> None:
    """Importing a module puts it in its package, where it would stand in place of what users mean."""
    modules = {path.stem for path in Path(tako.__file__).parent.iterdir()}
    assert modules & set(tako.__all__) == {"errors", "providers"}


def test_what_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(tako, "nothing_of_the_kind")
    assert not hasattr(tako.providers, "nothing_of_the_kind")
