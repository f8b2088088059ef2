"""The suite itself: it cannot be thinned out in silence, and it runs on what is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tako_openai import OpenAI

from tako import Delta, End, get_provider
from tako.errors import PluginError
from tako.hooks import PLUGINS, hookimpl
from tako.testing import isolated, summary
from tako.testing.dialects import COMPLETIONS, DIALECTS, Call, Dialect, Script, find_dialect, scripted
from tako.testing.dialects.completions import Completions
from tako.testing.installed import suite_for
from tako.testing.suite import CHECKS, ProviderSuite, run_suite

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = (
    []
    if any(point.name == "tako" for point in entry_points(group="pytest11"))
    else ["-p", "tako.testing.pytest_plugin"]
)


def suite(**fields: Any) -> type[ProviderSuite]:
    def provider(self: ProviderSuite, base_url: str, **options: Any) -> OpenAI:
        return OpenAI("gpt-4o", api_key=self.secret, base_url=base_url, **options)

    return type(
        "Suite", (ProviderSuite,), {"dialect": "completions", "provider": provider, "__module__": __name__, **fields}
    )


def run_pytest(where: Path, *arguments: str, autoload: bool = False) -> subprocess.CompletedProcess[str]:
    """Run pytest with tako's plugin alone; with ``autoload``, with all that are installed, as users do."""
    plugins = PLUGIN if autoload else ["-p", "tako.testing.pytest_plugin"]
    environment = {**os.environ, **({} if autoload else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, *arguments]
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("replacement", [None, lambda self: None, "text"])
def test_a_check_that_is_overridden_or_deleted_is_refused(replacement: Any) -> None:
    with pytest.raises(TypeError, match="test_truncated_events can't be overridden or deleted"):
        suite(test_truncated_events=replacement)


def test_a_check_that_goes_missing_later_fails_the_suite() -> None:
    thinned = suite()
    thinned.test_usage = lambda self: None  # type: ignore[method-assign]
    report = run_suite(thinned, ["suite_is_whole"])
    assert report.named("failed") == ["suite_is_whole"]
    assert "test_usage" in report.results["suite_is_whole"].reason


def test_the_machinery_cannot_be_overridden_either() -> None:
    with pytest.raises(TypeError, match="run_check can't be overridden"):
        suite(run_check=lambda self, check: None)


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"no_such_check": "because it is so"}, "no check and no ability"),
        ({"images": ""}, "give the reason"),
        ({"images": "no"}, "give the reason"),
    ],
)
def test_what_does_not_apply_needs_a_name_that_exists_and_a_reason(stated: dict[str, str], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        suite(not_applicable=stated)


def test_what_does_not_apply_is_reported_with_its_reason() -> None:
    report = run_suite(suite(not_applicable={"usage": "the vendor counts nothing"}), ["usage", "chat"])
    assert report.counts == {"passed": 1, "failed": 0, "not applicable": 1}
    assert report.results["usage"].reason == "the vendor counts nothing"


def test_an_ability_that_capabilities_claim_cannot_be_denied() -> None:
    report = run_suite(suite(not_applicable={"tools": "we never tried them"}), ["capabilities"])
    assert "supports_tools is claimed" in report.results["capabilities"].reason


def test_every_check_has_a_promise_of_a_sentence() -> None:
    assert len(CHECKS) > 70
    for check in CHECKS.values():
        assert check.promise.endswith("."), check.name
        assert len(check.promise.split()) >= 4, check.name


def test_a_dialect_that_goes_wrong_is_told_from_a_provider_that_does() -> None:
    class Wordy(Dialect):
        """A vendor whose replies are not what the provider reads."""

    report = run_suite(suite(dialect=Wordy()), ["usage"])
    assert "Wordy has no method whole(script)" in report.results["usage"].reason


class Bare(Completions):
    """A vendor whose error events have a message alone."""

    traits = Completions.traits | {"bare_errors"}

    def error_event(self, status: int, message: str) -> bytes:
        return b'data: {"error": {"message": "%s"}}\n\n' % message.encode()


class Coded(Bare):
    """The same, but it doesn't say so."""

    traits = Completions.traits


def test_error_events_without_codes_have_a_trait_of_their_own() -> None:
    assert run_suite(suite(dialect=Bare()), ["error_events"]).named("passed") == ["error_events"]
    report = run_suite(suite(dialect=Coded()), ["error_events"])
    assert "the class of an error event of 400" in report.results["error_events"].reason


def test_checks_of_bytes_hold_without_http_where_the_dialect_says_so() -> None:
    class Pipe(Completions):
        http = False
        traits = Completions.traits | {"bytes"}

    class Silent(Completions):
        http = False

    stated = {"http": "a program writes the replies"}
    checks = ["splits", "truncated_events", "redirects"]
    assert run_suite(suite(dialect=Pipe(), not_applicable=stated), checks).named("not applicable") == ["redirects"]
    assert run_suite(suite(dialect=Silent(), not_applicable=stated), checks).named("not applicable") == checks


def test_reports_are_json_and_markdown(tmp_path: Path) -> None:
    report = run_suite(suite(not_applicable={"model": "it has | only one"}), ["chat", "usage", "model"])
    summary.write(tmp_path / "r.json", [report])
    summary.write(tmp_path / "r.md", [report])
    (found_report,) = msgspec.json.decode((tmp_path / "r.json").read_bytes())
    assert found_report["counts"] == {"passed": 2, "failed": 0, "not applicable": 1}
    assert [result["check"] for result in found_report["results"]] == ["chat", "usage", "model"]
    assert found_report["observed"]["usage"] == "input, output, cached, reasoning_tokens"
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "| openai:gpt-4o | completions | 2 | 0 | 1 |" in text
    assert "n/a (it has \\| only one)" in text


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.http])
def test_a_dialect_streams_more_events_the_finer_it_splits(name: str) -> None:
    dialect = find_dialect(name)
    script = Script(text="Hello there.", reasoning="Hm, hm.", calls=(Call("a", {"x": 1}, "c1"),))
    coarse, fine = dialect.events(script), dialect.events(msgspec.structs.replace(script, split=1))
    assert len(fine) > len(coarse) >= dialect.complete_after(coarse) > 1


def test_a_dialect_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(TypeError, match="no dialect 'klingon'; the names are completions"):
        scripted("klingon")


def test_an_installed_provider_runs_the_suite_from_the_command_line(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        "--tako-provider=openai:gpt-4o",
        "--tako-dialect=completions",
        "--tako-not-applicable=images=nobody looks",
        "--tako-summary=found.json",
        "-k",
        "test_chat or inline_images or usage",
        autoload=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "tako: openai:gpt-4o (completions)" in ran.stdout
    (found_report,) = msgspec.json.decode((tmp_path / "found.json").read_bytes())
    assert found_report["counts"]["failed"] == 0
    assert {"nobody looks"} <= {result["reason"] for result in found_report["results"]}


def test_a_wire_of_the_authors_own_is_named_by_its_module_and_class(tmp_path: Path) -> None:
    (tmp_path / "vendor.py").write_text(
        "from tako.testing.dialects.completions import Completions\n"
        "class Vendor(Completions):\n"
        "    name = 'of their own'\n",
        encoding="utf-8",
    )
    ran = run_pytest(
        tmp_path, "--tako-provider=openai:gpt-4o", "--tako-dialect=vendor:Vendor", "-k", "test_chat or usage"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "tako: openai:gpt-4o (of their own)" in ran.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("klingon", "there is no dialect 'klingon'; the names are completions"),
        ("vendor:Vendor", "No module named 'vendor'"),
        ("json:loads", "there is no dialect 'json:loads'"),
    ],
)
def test_a_wire_that_does_not_exist_is_one_usage_error(name: str, reason: str, tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, "--tako-provider=openai:gpt-4o", f"--tako-dialect={name}")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--tako-dialect={name}: {reason}" in ran.stderr
    assert "failed" not in ran.stdout


@pytest.mark.parametrize(("check", "trait"), [("model", "'names'"), ("usage", "'cached'")])
def test_a_check_names_the_trait_that_the_dialect_does_not_have(check: str, trait: str) -> None:
    plain = type("Plain", (type(COMPLETIONS),), {"traits": COMPLETIONS.traits - {"names", "cached"}})
    thinner = suite(dialect=plain())
    result = run_suite(thinner, [check]).results[check]
    assert result.outcome == "failed"
    assert f"(the dialect's traits don't have {trait}" in result.reason


def test_the_summary_is_written_for_an_authors_own_suite_and_failures_fail(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from tako.testing import ProviderSuite\n"
        "from tako_openai import OpenAI\n"
        "class TestMine(ProviderSuite):\n"
        "    dialect = 'completions'\n"
        "    def provider(self, base_url, **options):\n"
        "        return OpenAI('m', api_key='another key', base_url=base_url, **options)\n",
        encoding="utf-8",
    )
    ran = run_pytest(tmp_path, "--tako-summary=found.md", "-k", "test_chat or key_is_sent")
    assert ran.returncode == 1
    assert "`provider` doesn't use self.secret" in ran.stdout
    assert "| openai:m | completions | 1 | 1 | 0 |" in (tmp_path / "found.md").read_text(encoding="utf-8")


def test_a_provider_without_a_dialect_or_an_address_is_refused() -> None:
    with isolated() as plugins:
        plugins.install(plugins.provider_class("plain"))
        with pytest.raises(Exception, match="give --tako-dialect"):
            suite_for("plain:p")
        with pytest.raises(Exception, match="no option like base_url"):
            suite_for("plain:p", "completions")


def test_a_class_declares_its_dialect(tmp_path: Path) -> None:
    with isolated() as plugins:
        declared = type("Declared", (OpenAI,), {"__module__": OpenAI.__module__, "conformance": "completions"})
        plugins.install(declared, "declared")
        report = run_suite(suite_for("declared:gpt-4o", options={"organization": "org-1"}), ["chat", "key_is_sent"])
    assert report.counts["passed"] == 2


def test_the_pytest_plugin_costs_nothing_until_it_is_used() -> None:
    heavy = "{'msgspec', 'httptools', 'tako.types'}"
    code = f"import sys, tako.testing.pytest_plugin; print(sorted(set(sys.modules) & {heavy}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_is_registered_in_isolation_is_gone_afterwards() -> None:
    class Loud:
        @hookimpl(wrapper=True)
        def tako_stream(self) -> Any:
            inner = yield

            async def stream(request: Any) -> Any:
                async for chunk in inner(request):
                    yield Delta((chunk.text or "").upper()) if isinstance(chunk, Delta) else chunk

            return stream

    def tako_stream() -> Any:
        async def stream(request: Any) -> Any:
            yield Delta("hello")
            yield End()

        return stream

    def tako_capabilities() -> Any:
        from tako import Capabilities

        return Capabilities()

    def tako_chat() -> Any:
        async def chat(request: Any) -> Any:
            return None

        return chat

    before = PLUGINS.snapshot()
    with isolated(Loud()) as plugins:
        hooks = {"tako_stream": tako_stream, "tako_capabilities": tako_capabilities, "tako_chat": tako_chat}
        plugins.install(plugins.provider_class("parrot", **hooks))
        provider = get_provider("parrot:p")
        assert provider.blocking.stream("Hi").response().text == "HELLO"
        PLUGINS.failed["parrot"] = "a traceback"
    assert PLUGINS.snapshot() == before
    with pytest.raises(PluginError):
        get_provider("parrot:p")


def test_the_fixture_isolates_too(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from tako.hooks import PLUGINS\n"
        "from tako import hookimpl\n"
        "class Nothing:\n    @hookimpl\n    def tako_chat(self):\n        return None\n"
        "def test_one(tako_plugins):\n"
        "    tako_plugins.register(Nothing(), 'nothing')\n"
        "    assert 'nothing' in PLUGINS.snapshot()[0]\n"
        "def test_two():\n"
        "    assert 'nothing' not in PLUGINS.snapshot()[0]\n",
        encoding="utf-8",
    )
    ran = run_pytest(tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout
