"""Any installed distribution may be broken: the others work, and `tako providers` says what is wrong in one line."""

from __future__ import annotations

import json
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tako import discovery, installed

from .installed import ASK, OURS, PROVIDER, SHOUT, command, distribution, general, program, provider, rows

if TYPE_CHECKING:
    from pathlib import Path

BROKEN_POINTS: dict[str, tuple[str | bytes, str]] = {
    "a value that no importer takes": (
        "[tako.providers]\n{0} = tako-odd:Odd\n",
        "'tako-odd:Odd' isn't MODULE:ATTRIBUTE",
    ),
    "a line without a value": ("[tako.providers]\n{0}\n", "isn't NAME = MODULE:ATTRIBUTE"),
    "an empty value": ("[tako.providers]\n{0} =\n", "'' isn't MODULE:ATTRIBUTE"),
    "a name with spaces": ("[tako.providers]\n{0} o = odd:Odd\n", " o' isn't a name"),
    "no text": (b"\xff\xfe[tako.providers]\n", "its entry_points.txt isn't UTF-8 text"),
    "a module that isn't there": ("[tako.providers]\n{0} = no_such.module:Odd\n", "ModuleNotFoundError"),
    "an attribute that isn't there": ("[tako.providers]\n{0} = odd:Odd\n", "AttributeError"),
    "a relative module": ("[tako.providers]\n{0} = .odd:Odd\n", "TypeError"),
    "no class": ("[tako.providers]\n{0} = odd\n", "odd isn't a subclass of tako.Provider"),
    "a broken general plugin": ("[tako.plugins]\n{0} = tako-odd\n", "'tako-odd' isn't MODULE:ATTRIBUTE"),
    "a general plugin without hooks": ("[tako.plugins]\n{0} = odd\n", "has no hooks"),
    "a general plugin for later hooks": ("[tako.plugins]\n{0} = late\n", "install a newer tako-core"),
    "a broken command": ("[tako.commands]\n{0} = tako-odd:main\n", "'tako-odd:main' isn't MODULE:ATTRIBUTE"),
}
"""What may be wrong with entry points, and what is said of it."""
RAISING = {
    "a panic": "class PanicException(BaseException): pass\nraise PanicException('an extension panicked')\n",
    "SystemExit": "raise SystemExit(3)\n",
    "GeneratorExit": "raise GeneratorExit\n",
    "CancelledError": "import asyncio\nraise asyncio.CancelledError\n",
    "a group": "raise BaseExceptionGroup('all', [KeyboardInterrupt()])\n",
    "an exception without a text": "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd\n",
    "a text of several lines": "raise ValueError('a\\n  b\\x1b[31m')\n",
    "a SyntaxError": "def\n",
    "endless recursion": "def f(): f()\nf()\n",
}
"""What modules may raise while they are imported."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound provider, a sound general plugin, and every kind of broken distribution."""
    folder = general(provider(tmp_path_factory.mktemp("broken")), "shout", SHOUT)
    (folder / "odd.py").write_text("X = 1\n")
    (folder / "late.py").write_text("tako_hooks = 99\n")
    for i, (points, _) in enumerate(BROKEN_POINTS.values()):
        text = points.replace("{0}", f"point{i}") if isinstance(points, str) else points
        distribution(folder, f"tako-point{i}", {}, text)
    for i, code in enumerate(RAISING.values()):
        points = f"[tako.plugins]\nraises{i} = raises{i}\n[tako.providers]\nasked{i} = raises{i}:Odd\n"
        distribution(folder, f"tako-raises{i}", {f"raises{i}.py": code}, points)
    distribution(folder, "no-text", {}, "", metadata=b"\xff")
    return folder


@pytest.fixture(scope="module")
def listed(broken: Path) -> list[dict[str, Any]]:
    done = command(broken, "providers", "--json")
    assert done.returncode == 1, done.stderr
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return listed


@pytest.mark.parametrize("kind", BROKEN_POINTS)
def test_malformed_entry_points_are_one_broken_row(kind: str, listed: list[dict[str, Any]]) -> None:
    [row] = [row for row in listed if row["distribution"] == f"tako-point{[*BROKEN_POINTS].index(kind)}"]
    assert (row["state"], row["version"]) == ("broken", "1.0")
    assert BROKEN_POINTS[kind][1] in row["why"]
    assert "\n" not in row["why"]


@pytest.mark.parametrize("kind", RAISING)
def test_whatever_is_raised_at_import_marks_that_plugin_broken(kind: str, listed: list[dict[str, Any]]) -> None:
    matches = [row for row in listed if row["distribution"] == f"tako-raises{[*RAISING].index(kind)}"]
    assert [(row["kind"], row["state"]) for row in matches] == [("provider", "broken"), ("plugin", "broken")]
    assert not [row for row in matches if not row["why"] or "\n" in row["why"]]


def test_everything_else_works_whatever_is_broken(broken: Path, listed: list[dict[str, Any]]) -> None:
    assert {row["name"] for row in listed if row["state"] == "ok"} >= {"good", "shout", "openai", "python"}
    table = command(broken, "providers").stdout
    assert len(table.splitlines()) == len(listed) + 1
    assert "\x1b" not in table
    answer = command(broken, "chat", "--no-stream", "-m", "good:m", "hi")
    assert (answer.returncode, answer.stdout) == (0, "good answers!\n")
    assert answer.stderr.count("tako left out plugin 'raises0' of tako-raises0 1.0: PanicException") == 1
    of_providers = f'result = [ask("good:m"), *[ask(f"asked{{i}}:m") for i in range({len(RAISING)})]]'
    good, *others = program(broken, ASK, of_providers)
    assert good == "good answers!"
    for i, line in enumerate(others):
        assert line.startswith(f"PluginError: provider 'asked{i}' of tako-raises{i} 1.0 couldn't be imported: ")


def test_a_broken_one_can_be_switched_off_by_its_name_or_that_of_its_distribution(broken: Path) -> None:
    off = ",".join(["point0", "Tako_Point1", *[f"asked{i}" for i in range(3)]])
    listed = rows(broken, TAKO_DISABLE_PLUGINS=f"{OURS},{off}")
    assert {row["state"] for row in listed.values() if row["distribution"] in ("tako-point0", "tako-point1")} == {"off"}
    assert [listed[f"asked{i}"]["state"] for i in range(4)] == ["off", "off", "off", "broken"]


def test_metadata_without_a_name_breaks_nothing(tmp_path: Path) -> None:
    kinds: dict[str, str | bytes | None] = {
        "absent": None,
        "nameless": "Metadata-Version: 2.1\n",
        "binary": b"\xff\xfe\x00",
        "empty": "Name:\nVersion:\n",
    }
    for name, metadata in kinds.items():
        files = {f"{name}.py": PROVIDER.format(cls=name.title(), name=name)}
        points = f"[tako.providers]\n{name} = {name}:{name.title()}\n"
        distribution(tmp_path, f"tako-{name}", files, points, metadata=metadata)
    code = f"result = [ask(name + ':m') for name in {[*kinds]}]"
    assert program(tmp_path, ASK, code) == [f"{name} answers" for name in kinds]
    listed = rows(tmp_path)
    assert [(listed[name]["state"], listed[name]["distribution"], listed[name]["version"]) for name in kinds] == [
        ("ok", f"tako-{name}", "1.0") for name in kinds
    ]
    allowed = program(tmp_path, ASK, code, TAKO_ALLOW_PLUGINS="Tako.Binary,tako-absent")
    assert [message.partition(":")[0] for message in allowed] == [
        "absent answers",
        "PluginError",
        "binary answers",
        "PluginError",
    ]


def test_a_bad_line_takes_no_other_down_and_other_groups_are_nobodys_business(tmp_path: Path) -> None:
    code = PROVIDER.format(cls="Odd", name="odd")
    points = (
        "\ufeff[console_scripts]\nthis is no line\n[tako.providers]\n= x:Y\n# odd = a:B\nodd = tako_odd:Odd [extra]\n"
    )
    distribution(tmp_path, "tako-odd", {"tako_odd.py": code}, points)
    assert program(tmp_path, ASK, 'result = ask("odd:m")') == "odd answers"
    distribution(tmp_path, "other", {}, "[console_scripts]\nneither = is-this\nnor this\n")
    assert "other" not in {row["distribution"] for row in rows(tmp_path).values()}


@pytest.mark.parametrize("kind", ["tako.plugins", "tako.providers"])
def test_a_keyboard_interrupt_is_the_users_in_the_main_thread_alone(kind: str, tmp_path: Path) -> None:
    code = "import sys\nsys.imports = getattr(sys, 'imports', 0) + 1\nraise KeyboardInterrupt\n"
    point = "odd = tako_odd" if kind == "tako.plugins" else "odd = tako_odd:Odd"
    distribution(provider(tmp_path), "tako-odd", {"tako_odd.py": code}, f"[{kind}]\n{point}\n")
    provider_id = "good:m" if kind == "tako.plugins" else "odd:m"
    code = f"""
        import asyncio, threading
        import tako
        def ask():
            try:
                result.append(asyncio.run(tako.get_provider({provider_id!r}).chat("hi")).text)
            except BaseException as error:
                result.append(type(error).__name__)
        result = []
        ask()
        ask()
        result.append(sys.imports)
        for _ in range(2):
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
        """
    expected = "good answers" if kind == "tako.plugins" else "PluginError"
    assert program(tmp_path, code) == ["KeyboardInterrupt", "KeyboardInterrupt", 2, expected, expected]


PRINTING = """
import os, subprocess, sys
print("HELLO")
sys.__stdout__.write("HELLO")
os.write(1, b"HELLO")
subprocess.run([sys.executable, "-c", "print('HELLO')"])
"""
AT_MAKING = f"""
class Good(Good):
    def __init__(self, model):
        exec({PRINTING!r})
        super().__init__(model)
"""
AT_BINDING = """
@hookimpl
def tako_translator(provider):
    exec(PRINTING)
"""


def test_what_plugins_print_while_they_are_made_never_is_on_the_output_of_the_command(tmp_path: Path) -> None:
    provider(tmp_path, code=PRINTING + dedent(PROVIDER.format(cls="Good", name="good")) + AT_MAKING)
    general(tmp_path, "loud", f"PRINTING = {PRINTING!r}\nexec(PRINTING)\n" + dedent(SHOUT) + AT_BINDING)
    done = command(tmp_path, "chat", "--no-stream", "-m", "good:m", "hi")
    assert done.stdout == "good answers!\n"
    assert done.stderr.count("HELLO") == 16  # the provider's import and its making, the plugin's import and its hook
    for arguments in (["chat", "-m", "good:m", "hi"], ["providers"], ["plugins", "good"]):
        assert json.loads(command(tmp_path, *arguments, "--json").stdout)


def test_a_callable_of_the_users_own_that_prints_at_import_is_no_answer_either(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("print('HELLO')\ndef chat(request): return 'the answer'\n")
    done = command(tmp_path, "chat", "-m", "python:mine:chat", "hi")
    assert (done.stdout, done.stderr) == ("the answer\n", "HELLO\n")


def test_a_programs_own_output_is_left_alone(tmp_path: Path) -> None:
    general(provider(tmp_path), "loud", "print('HELLO')\n" + dedent(SHOUT))
    code = """
        import contextlib, io
        caught = io.StringIO()
        with contextlib.redirect_stdout(caught):
            said = ask("good:m")
        result = [said, caught.getvalue()]
        """
    assert program(tmp_path, ASK, code) == ["good answers!", "HELLO\n"]


def test_two_classes_of_one_name_are_told_apart_by_their_entry_points(tmp_path: Path) -> None:
    provider(provider(tmp_path), "another", "Good")
    code = """
        result = [ask("good:m"), ask("another:m")]
        try:
            tako.providers.Good
        except tako.PluginError as error:
            result.append(str(error))
        """
    good, another, clash = program(tmp_path, ASK, code)
    assert (good, another) == ("good answers", "another answers")
    assert clash == (
        "provider class 'Good' is claimed by tako-another 1.0 (another) and tako-good 1.0 (good); "
        "use the name instead: get_provider('another:MODEL') or get_provider('good:MODEL')"
    )
    assert {rows(tmp_path)[name]["state"] for name in ("good", "another")} == {"ok"}


def test_a_class_that_is_called_like_a_provider_takes_nothing_from_it(tmp_path: Path) -> None:
    provider(provider(tmp_path), "evil", "good")
    code = 'result = [ask("good:m"), tako.providers.Good.name, tako.providers.good.name]'
    assert program(tmp_path, ASK, code) == ["good answers", "good", "evil"]


IN_TWO_MODULES = {
    "tako_split/__init__.py": "from tako_split.cls import Split\nfrom tako_split.hooks import *\n",
    "tako_split/cls.py": "from tako import Provider\n\nclass Split(Provider):\n    name = 'split'\n",
    "tako_split/hooks.py": PROVIDER.format(cls="Unused", name="split"),
}


@pytest.mark.parametrize(
    ("point", "moved"),
    [
        ("tako_split:Split", {}),
        ("tako_split.cls:Split", {}),
        (
            "tako_split.api:Split",
            {"tako_split/api.py": "from tako_split.cls import Split\nfrom tako_split.hooks import *\n"},
        ),
    ],
)
def test_hooks_are_found_in_the_package_of_a_class_and_in_the_module_of_its_entry_point(
    point: str, moved: dict[str, str], tmp_path: Path
) -> None:
    files = {**IN_TWO_MODULES, **({"tako_split/__init__.py": ""} if moved else {}), **moved}
    distribution(tmp_path, "tako-split", files, f"[tako.providers]\nsplit = {point}\n")
    assert program(tmp_path, ASK, 'result = ask("split:m")') == "split answers"
    assert rows(tmp_path)["split"]["state"] == "ok"


WITHOUT = {
    "hooks elsewhere": IN_TWO_MODULES | {"tako_split/__init__.py": "from tako_split.cls import Split\n"},
    "nothing": IN_TWO_MODULES
    | {"tako_split/__init__.py": "from tako_split.cls import Split\n", "tako_split/hooks.py": ""},
    "capabilities alone": IN_TWO_MODULES
    | {
        "tako_split/hooks.py": "import tako\n@tako.hookimpl\ndef tako_capabilities():\n    return tako.Capabilities()\n"
    },
}


@pytest.mark.parametrize("kind", WITHOUT)
def test_what_cannot_answer_is_broken_in_the_list_and_the_error_says_where_hooks_are_looked_for(
    kind: str, tmp_path: Path
) -> None:
    distribution(tmp_path, "tako-split", WITHOUT[kind], "[tako.providers]\nsplit = tako_split:Split\n")
    row = rows(tmp_path)["split"]
    assert row["state"] == "broken"
    for message in (row["why"], program(tmp_path, ASK, 'result = ask("split:m")')):
        assert "no plugin implements tako_chat for Split" in message
        assert "tako_split.cls or tako_split" in message


def test_a_class_that_inherits_all_it_needs_is_sound(tmp_path: Path) -> None:
    code = "from tako_good import Good\n\nclass Heir(Good):\n    name = 'heir'\n"
    provider(provider(tmp_path), "heir", "Heir", code)
    assert rows(tmp_path)["heir"]["state"] == "ok"
    assert program(tmp_path, ASK, 'result = ask("heir:m")') == "good answers"


def test_an_empty_allow_list_is_refused(tmp_path: Path) -> None:
    provider(tmp_path)
    for empty in ("", " , "):
        messages = program(tmp_path, ASK, 'result = [ask("good:m"), ask("nothing:m")]', TAKO_ALLOW_PLUGINS=empty)
        assert (
            messages[0]
            == "PluginError: TAKO_ALLOW_PLUGINS is empty: name the distributions that may be used, or unset it"
        )
        done = command(tmp_path, "providers", TAKO_ALLOW_PLUGINS=empty)
        assert (done.returncode, done.stdout) == (2, "")
        assert "TAKO_ALLOW_PLUGINS is empty" in done.stderr


@pytest.mark.parametrize("wrong", ["good", "other=tako-other, good", "good=", "=tako-good"])
def test_a_preference_that_is_no_pair_is_refused(wrong: str, tmp_path: Path) -> None:
    provider(tmp_path)
    message = program(tmp_path, ASK, 'result = ask("good:m")', TAKO_PREFER=wrong)
    slip = wrong.rpartition(", ")[2]
    text = f"TAKO_PREFER has {slip!r}: write NAME=DISTRIBUTION, as in TAKO_PREFER=openai=tako-openai"
    assert message == f"PluginError: {text}"
    done = command(tmp_path, "providers", TAKO_PREFER=wrong)
    assert (done.returncode, done.stdout, text in done.stderr) == (2, "", True)


def test_the_allow_list_takes_the_name_of_an_entry_point_that_a_single_distribution_claims(tmp_path: Path) -> None:
    general(provider(tmp_path), "shout", SHOUT)
    code = 'result = ask("good:m")'
    assert program(tmp_path, ASK, code, TAKO_ALLOW_PLUGINS="good") == "good answers"
    assert program(tmp_path, ASK, code, TAKO_ALLOW_PLUGINS="tako-good,shout") == "good answers!"
    files = {"twin.py": SHOUT}
    distribution(tmp_path, "twin", files, "[tako.plugins]\nshout = twin\n")
    assert program(tmp_path, ASK, code, TAKO_ALLOW_PLUGINS="tako-good,shout") == "good answers"
    assert "since TAKO_ALLOW_PLUGINS doesn't name tako-good" in program(tmp_path, ASK, code, TAKO_ALLOW_PLUGINS="shout")


def test_each_distribution_is_read_once_however_many_there_are(tmp_path: Path) -> None:
    count = """
        opened = []
        sys.addaudithook(lambda event, arguments: event == "open" and opened.append(str(arguments[0])))
        from tako.cli import main
        main(["providers"])
        result = [max(opened.count(path) for path in set(opened) if path.endswith(name)) for name in
                  ("entry_points.txt", "METADATA")]
        """
    for i in range(12):
        provider(tmp_path, f"more{i}", f"More{i}")
    assert program(tmp_path, count) == [1, 1]


def test_what_is_installed_later_is_found_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert discovery.find_provider("later") is None
    provider(tmp_path, "later", "Later")
    provider_class = discovery.find_provider("later")
    assert provider_class is not None
    assert (provider_class.distribution, provider_class.value) == ("tako-later", "tako_later:Later")
    listed = installed.entries(installed.PROVIDERS)
    assert [entry for entry in listed if entry.name == "later"] == [provider_class]


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    distribution(first, "tako-copy", {}, "[tako.providers]\ncopy = first:Copy\n")
    distribution(second, "tako_copy", {}, "[tako.providers]\ncopy = second:Copy\nolder = second:Old\n")
    monkeypatch.setattr(sys, "path", [str(first), *sys.path, str(second)])
    provider_class: Any = discovery.find_provider("copy")
    assert provider_class.value == "first:Copy"
    assert discovery.find_provider("older") is None


def test_one_broken_package_is_one_warning_for_all_of_its_plugins(tmp_path: Path) -> None:
    points = "[tako.plugins]\n" + "".join(f"rule{i} = acme_rules:rule{i}\n" for i in range(3))
    distribution(tmp_path, "acme-rules", {"acme_rules.py": "import nowhere"}, points)
    provider(tmp_path)
    answer = command(tmp_path, "chat", "--no-stream", "-m", "good:m", "hi")
    assert (answer.returncode, answer.stdout) == (0, "good answers\n")
    left_out = "tako left out plugins 'rule0', 'rule1', 'rule2' of acme-rules 1.0"
    assert answer.stderr == f"{left_out}: ModuleNotFoundError: No module named 'nowhere'\n"
