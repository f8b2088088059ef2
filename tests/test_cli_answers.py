"""`tako chat`: schemas, tools, templates, code blocks and usage; options win over files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.testing.server import Received, Reply, Server, reply, serve, sse

from .terminals import ENTER, TAKO, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Serve = Callable[..., Server]


def completion(text: str | None, **message: Any) -> Reply:
    finish = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 1200, "completion_tokens": 34}
    return reply(json={"id": "x", "model": "m", "choices": [choice], "usage": usage})


def streamed(*deltas: dict[str, Any], finish: str = "stop") -> Reply:
    chunks = [{"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return reply(sse(*chunks, {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))


def tool_call(**arguments: Any) -> dict[str, Any]:
    function = {"name": "weather", "arguments": json.dumps(arguments)}
    return {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def start_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return a function that starts a server in the vendor's place."""
    servers: list[Any] = []

    def start(*answers: Any) -> Server:
        servers.append(serve(*answers))
        running: Server = servers[-1].__enter__()
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        return running

    yield start
    for one in servers:
        one.__exit__(None, None, None)


def chat(*arguments: str) -> int:
    return main(["chat", "-m", "openai:m", *arguments])


WEATHER = '''
import asyncio
from dataclasses import dataclass

@dataclass
class Dog:
    name: str
    age: int

async def weather(city: str) -> str:
    """Return the weather.

    Args:
        city: its name in English
    """
    return f"rain in {city}"

def _hidden() -> None:
    raise AssertionError
'''


@pytest.mark.parametrize(
    ("schema", "answer", "printed"),
    [
        ("name, age int", '{"name": "Rex", "age": 3}', {"name": "Rex", "age": 3}),
        ("name: in capitals, tags str[]", '{"name": "REX", "tags": ["a"]}', {"name": "REX", "tags": ["a"]}),
        ("[name]", '{"value": [{"name": "Rex"}]}', [{"name": "Rex"}]),
        ("dog.json", '{"name": "Rex", "more": 1}', {"name": "Rex", "more": 1}),
        ('{"type": "integer", "minimum": 3}', '{"value": 3}', 3),
        ("pets.py:Dog", '{"name": "Rex", "age": 3}', {"name": "Rex", "age": 3}),
        ("pets:Dog", '{"name": "Rex", "age": 3}', {"name": "Rex", "age": 3}),
    ],
)
def test_a_schema_is_fields_a_file_or_a_type_and_the_answer_is_json(
    schema: str, answer: str, printed: Any, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    work_folder = Path.cwd()
    (work_folder / "pets.py").write_text(WEATHER)
    (work_folder / "dog.json").write_text('{"type": "object", "properties": {"name": {"type": "string"}}}')
    server = start_server(completion(answer))
    assert chat("--schema", schema, "Invent a dog") == 0
    assert json.loads(capsys.readouterr().out) == printed
    assert server.requests[0].json["response_format"]["type"] == "json_schema"


def test_an_answer_that_doesnt_fit_is_requested_once_more_and_then_is_an_error(
    start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server(
        completion('{"name": "Rex", "age": "three"}'),
        completion('{"name": "Rex", "age": 3}'),
        completion("no"),
        completion("no"),
    )
    assert chat("--schema", "name, age int", "Invent a dog") == 0
    assert json.loads(capsys.readouterr().out) == {"name": "Rex", "age": 3}
    assert "'three' is not of type 'integer' at $.age" in server.requests[1].json["messages"][-1]["content"]
    assert chat("--schema", "name, age int", "Invent a dog") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "the reply doesn't fit the schema 'answer'" in err


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("name, age integer", '--schema "age integer": expected'),
        ("none.json", "--schema none.json: No such file"),
        ("{", "isn't a JSON Schema"),
        ('{"type": 7}', "isn't a JSON Schema"),
        ("nowhere:Dog", "--schema nowhere:Dog: nowhere can't be imported"),
        ("", "--schema is empty"),
    ],
)
def test_an_invalid_schema_is_refused_before_the_call(
    schema: str, problem: str, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server(completion("{}"))
    assert chat("--schema", schema, "Hi") == 2
    assert problem in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize("tool", ["pets.py", "pets.py:weather", "pets:weather"])
@pytest.mark.parametrize("mode", [[], ["--no-stream"]], ids=repr)
def test_the_model_calls_a_function_and_answers(
    tool: str, mode: list[str], work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "pets.py").write_text(WEATHER)
    if mode:
        server = start_server(completion(None, **tool_call(city="Oslo")), completion("Take an umbrella."))
    else:
        server = start_server(
            streamed(tool_call(city="Oslo"), finish="tool_calls"), streamed({"content": "Take an umbrella."})
        )
    assert chat("-T", tool, "--yes", *mode, "Weather in Oslo?") == 0
    out, err = capsys.readouterr()
    assert out == "Take an umbrella.\n"
    assert err == 'tako: weather(city="Oslo") -> "rain in Oslo"\n'
    [declared] = server.requests[0].json["tools"]
    assert declared["function"]["parameters"]["properties"]["city"]["description"] == "its name in English"
    assert server.requests[1].json["messages"][-1]["content"] == "rain in Oslo"


def test_without_a_terminal_and_without_yes_nothing_is_called(work_folder: Path, start_server: Serve) -> None:
    (work_folder / "pets.py").write_text(WEATHER)
    server = start_server(completion(None, **tool_call(city="Oslo")), completion("I can't tell."))
    result = subprocess.run(
        [*TAKO, "chat", "-m", "openai:m", "-T", "pets.py", "--no-stream", "Weather?"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # without a terminal of its own
        text=True,
        check=True,
    )
    assert "without a terminal, tako can't ask you (--yes allows all calls)" in result.stderr
    assert "the user can't be asked to allow this call" in server.requests[1].json["messages"][-1]["content"]


@pytest.mark.parametrize(("typed", "result"), [("y", "rain in Oslo"), ("n", "the user doesn't allow this call")])
def test_on_a_terminal_the_user_is_asked_about_each_call(
    typed: str, result: str, work_folder: Path, start_server: Serve
) -> None:
    (work_folder / "pets.py").write_text(WEATHER)
    server = start_server(completion(None, **tool_call(city="Oslo")), completion("So be it."))
    screen = Terminal("chat", "-m", "openai:m", "-T", "pets.py", "--no-stream", "Weather?")
    screen.wait_for('call weather(city="Oslo")? [y]es, [a]ll from now on, [n]o:')
    screen.press(f"{typed}{ENTER}")
    screen.wait_for("So be it.")
    assert screen.close() == 0
    assert result in server.requests[1].json["messages"][-1]["content"]


def test_an_answer_after_calls_fits_the_schema_too(
    work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "pets.py").write_text(WEATHER)
    start_server(
        streamed(tool_call(city="Oslo"), finish="tool_calls"),
        streamed({"content": '{"umbrella": "yes"}'}),
        streamed({"content": '{"umbrella": true}'}),
    )
    assert chat("-T", "pets.py", "--yes", "--schema", "umbrella bool", "Weather?") == 0
    assert json.loads(capsys.readouterr().out) == {"umbrella": True}


def test_extract_prints_the_last_code_block_alone(start_server: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    start_server(
        completion("First:\n```sh\nls\n```\nThen:\n\n~~~python\nprint('`')\n\n  x = 1\n~~~\nDone."),
        completion("No code."),
    )
    assert chat("-x", "Code?") == 0
    assert capsys.readouterr() == ("print('`')\n\n  x = 1\n", "")
    assert chat("--extract", "Code?") == 0
    assert capsys.readouterr() == ("No code.\n", "tako: the answer has no code block, so all of it is shown\n")


def test_usage_is_a_line_on_stderr_with_the_cost_if_it_is_known(
    start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    start_server(completion("42"))
    priced = 'capabilities={"usd_per_input_mtok": 1, "usd_per_output_mtok": 10}'
    assert chat("-u", "--no-stream", "-o", priced, "Hi") == 0
    out, err = capsys.readouterr()
    assert out == "42\n"
    assert err.startswith("tako: 1,200 tokens in, 34 out, $0.001540, ")


TEMPLATES = """
[providers.mine]
use = "openai:from-the-template"
[chat]
temperature = 0.5
max_tokens = 10
usage = true
template = "plain"
[templates.plain]
system = "Be plain."
[templates.french]
model = "mine"
prompt = "Say in French, $tone: $input ($$5)"
temperature = 0
"""


def test_a_template_wins_over_the_chat_table_and_options_win_over_both(
    work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "my.toml").write_text(TEMPLATES)
    server = start_server(lambda _: completion("Bonjour"))
    command = ["chat", "-c", "my.toml", "--no-stream"]
    assert main([*command, "-t", "french", "-p", "tone=kindly", "--max-tokens", "7", "Hello"]) == 0
    assert main([*command, "-m", "mine", "Hello"]) == 0
    assert "1,200 tokens in" in capsys.readouterr().err
    first, second = [request.json for request in server.requests]
    assert first["messages"] == [{"role": "user", "content": "Say in French, kindly: Hello ($5)"}]
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("from-the-template", 0, 7)
    assert second["messages"][0] == {"role": "system", "content": "Be plain."}
    assert (second["temperature"], second["max_tokens"]) == (0.5, 10)


def test_templates_are_files_of_the_user_too(
    work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = work_folder.parent / "home" / "tako" / "templates"
    folder.mkdir(parents=True)
    (folder / "poet.toml").write_text('system = "Rhyme."\n')
    (folder / "joke.md").write_text("Tell me a joke about $input.")
    (work_folder / "short.txt").write_text("In ten words.")
    server = start_server(lambda _: completion("ok"))
    for arguments in (["-t", "poet", "Hi"], ["-t", "joke", "takos"], ["-t", "short.txt", "Who?"], ["-t", "short.txt"]):
        assert chat("--no-stream", *arguments) == 0
    bodies = [[message["content"] for message in request.json["messages"]] for request in server.requests]
    assert bodies == [["Rhyme.", "Hi"], ["Tell me a joke about takos."], ["In ten words.\n\nWho?"], ["In ten words."]]
    capsys.readouterr()
    assert main(["templates", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["joke", "poet"]
    assert main(["templates", "poet"]) == 0
    assert "Rhyme." in capsys.readouterr().out


def test_options_are_saved_as_a_template(
    work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server(lambda _: completion('{"name": "Rex"}'))
    (work_folder / "dog.json").write_text('{"type": "object"}')
    options = ["-s", 'Say "hi"\n\tand é.', "--temperature", "0.5", "--schema", "dog.json", "A $kind called", "$input"]
    assert chat(*options, "--save", "dog") == 0
    assert server.requests == []
    (work_folder / "else").mkdir()
    os.chdir(work_folder / "else")
    assert main(["chat", "-t", "dog", "-p", "kind=pug", "Rex"]) == 0
    bodies = server.requests[0].json
    assert [one["content"] for one in bodies["messages"]][-2:] == ['Say "hi"\n\tand é.', "A pug called Rex"]
    assert (bodies["model"], bodies["temperature"]) == ("m", 0.5)
    for problem, name, *more in (
        ("already exists", "dog"),
        ("isn't a valid name for a template", "../x"),
        ("a template can't have -o, -f or -i; use them with -t", "x", "-o", "max_retries=0", "-f", "dog.json"),
        ("is UTF-8 text", "x", "bad \udcff"),
    ):
        assert chat("--save", name, *more) == 2
        assert problem in capsys.readouterr().err
    assert chat("--save", "odd", "--json", "a \x7f and \u2028") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "odd"
    assert main(["templates", "odd", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "a \x7f and \u2028"


def test_a_template_that_cant_be_read_doesnt_hide_the_others(
    work_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = work_folder.parent / "home" / "tako" / "templates"
    folder.mkdir(parents=True)
    (folder / "broken.toml").write_text("=")
    (folder / "whole.md").write_text("Rhyme.")
    assert main(["templates", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [row["name"] for row in json.loads(out)] == ["whole"]
    assert "broken.toml: not TOML" in err


def test_the_question_about_a_call_shows_all_of_it(work_folder: Path, start_server: Serve) -> None:
    (work_folder / "pets.py").write_text(WEATHER)
    start_server(completion(None, **tool_call(city=f"{'Oslo ' * 60}\u202e; the end")), completion("So be it."))
    screen = Terminal("chat", "-m", "openai:m", "-T", "pets.py", "--no-stream", "Weather?")
    screen.wait_for('\\u202e; the end")? [y]es')
    screen.press(f"n{ENTER}")
    screen.wait_for("So be it.")
    assert screen.close() == 0


def test_a_file_of_tools_in_the_folder_of_an_unknown_user_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert chat("-T", "~nobody-of-that-name/x.py", "Hi") == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-t", "french", "Hello"], "the template 'french' needs tone: -p tone=…"),
        (["-t", "french", "-p", "tone=x", "-p", "mood=y", "Hello"], "has no place $mood"),
        (["-t", "frensh", "Hello"], "did you mean 'french'?"),
        (["-t", "none.toml", "Hello"], "none.toml: No such file"),
        (["-p", "tone", "Hello"], "a parameter is NAME=VALUE"),
    ],
)
def test_a_template_that_cant_be_filled_is_refused_before_the_call(
    arguments: list[str], problem: str, work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "my.toml").write_text(TEMPLATES)
    server = start_server(completion("ok"))
    assert main(["chat", "-c", "my.toml", *arguments]) == 2
    assert problem in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[chat]\ntemprature = 0", "chat.temprature: no such key; did you mean 'temperature'?"),
        ("[chat]\nprompt = 'x'", "chat.prompt: no such key"),
        ("[chat]\ntemperature = 'hot'", "chat.temperature: Expected"),
        ("[templates.a]\nsistem = 'x'", "templates.a.sistem"),
        ("[templates]\na = 'x'", "templates.a: expected a table"),
        ("[aliases]\nfast = 'gpt-5'", "aliases.fast: 'gpt-5' isn't an id"),
        ("[aliases]\n'a:b' = 'openai:m'", "aliases.a:b: a name without a colon"),
        ("[aliases]\nx = 'openai:m'\n[providers.x]\nuse = 'openai:m'", "aliases.x: [providers] has that name"),
    ],
)
def test_an_error_in_a_file_names_its_key(
    text: str, problem: str, work_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "my.toml").write_text(text)
    assert main(["chat", "-c", "my.toml", "Hello"]) == 2
    assert problem in capsys.readouterr().err


ALIASES = """
default = "fast"
[providers.mine]
use = "openai:m1"
[aliases]
fast = "openai:m2"
same = "mine"
openai = "ollama:m"
"""


@pytest.mark.parametrize(
    ("command", "model"),
    [
        (["chat", "-m", "fast", "Hi"], "m2"),
        (["chat", "Hi"], "m2"),
        (["chat", "-m", "same", "Hi"], "m1"),
        (["map", "rows.csv", "-o", "out.jsonl", "--prompt", "{text}", "-m", "fast"], "m2"),
    ],
)
def test_an_alias_works_wherever_a_model_does(
    command: list[str], model: str, work_folder: Path, start_server: Serve
) -> None:
    (work_folder / "my.toml").write_text(ALIASES)
    (work_folder / "rows.csv").write_text("text\nhi\n")

    def answer(request: Received) -> Reply:
        return streamed({"content": "ok"}) if request.json.get("stream") else completion("ok")

    server = start_server(answer)
    assert main([*command[:1], "-c", "my.toml", *command[1:]]) == 0
    assert [request.json["model"] for request in server.requests] == [model]


def test_commands_that_send_no_prompt_know_aliases_too(
    work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "my.toml").write_text(ALIASES)
    start_server(reply(json={"data": [{"id": "m2"}]}))
    assert main(["capabilities", "-c", "my.toml", "fast", "--json"]) == 0
    assert main(["models", "-c", "my.toml", "fast"]) == 0
    assert "m2" in capsys.readouterr().out
    assert main(["doctor", "-c", "my.toml", "fast", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["model"] == "openai:m2"


def test_an_alias_never_replaces_an_installed_provider(
    work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "my.toml").write_text(ALIASES)
    server = start_server(completion("ok"))
    for model in ("openai", "openai:m"):
        assert main(["chat", "-c", "my.toml", "-m", model, "Hi"]) == 2
        assert "could be the installed provider, or the alias openai in my.toml" in capsys.readouterr().err
    assert server.requests == []


def test_aliases_and_templates_of_the_folder_are_used_once_they_are_trusted(
    work_folder: Path, start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    (work_folder / "tako.toml").write_text(
        '[aliases]\nfast = "openai:m2"\n[templates.t]\nprompt = "Also: $input"\ntools = ["mytools:weather"]\n'
    )
    (work_folder / "mytools.py").write_text(WEATHER)
    server = start_server(completion("ok"), completion(None, **tool_call(city="Oslo")), completion("ok"))
    assert main(["chat", "-m", "fast", "Hi"]) == 2
    assert chat("-t", "t", "Hi") == 2
    assert server.requests == []
    assert main(["trust", "--yes"]) == 0
    assert main(["chat", "--no-stream", "-m", "fast", "Hi"]) == 0
    assert chat("--no-stream", "--yes", "-t", "t", "Hi") == 0
    assert server.requests[-1].json["messages"][-1]["content"] == "rain in Oslo"
    (work_folder / "mytools.py").write_text("raise SystemExit('evil')")
    capsys.readouterr()
    assert chat("-t", "t", "Hi") == 2
    assert "mytools.py, which ./tako.toml runs or reads, has changed" in capsys.readouterr().err


def test_a_prompt_of_several_words_or_an_option_needs_no_chat(
    start_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server(lambda _: completion("ok"))
    assert main(["-m", "openai:m", "--no-stream", "Hi"]) == 0
    assert main(["What is it?", "-m", "openai:m", "--no-stream"]) == 0
    capsys.readouterr()
    assert main(["--json", "-m", "openai:m", "Json"]) == 0
    assert json.loads(capsys.readouterr().out)["finish_reason"] == "stop"
    assert [request.json["messages"][0]["content"] for request in server.requests] == ["Hi", "What is it?", "Json"]
    assert main(["chta"]) == 2
    assert "'chta' isn't a command; did you mean `tako chat`?" in capsys.readouterr().err
    assert len(server.requests) == 3
