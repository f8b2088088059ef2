"""`tako logs` and `tako chat -C`: the log is off by default, and has no secrets and no redacted texts."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako.cli import main
from tako.cli.log import Log, LoggedTurn, Start
from tako.conversation import Conversation
from tako.hooks import PLUGINS
from tako.testing.server import Received, Reply, Server, reply, serve, sse
from tako.testing.waiting import until

from .terminals import CTRL_D, ENTER, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIXEL = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
KEY = "sk-the-key-of-the-user-0123456789"


def answers(request: Received) -> Reply:
    """Answer with the number of messages, and the last one."""
    messages = request.json["messages"]
    last = messages[-1]["content"]
    text = last if isinstance(last, str) else "".join(part.get("text", "") for part in last)
    if not request.json.get("stream"):
        message = {"role": "assistant", "content": f"answer {len(messages)} to {text}"}
        return reply(json={"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    delta = {"content": f"answer {len(messages)} to {text}"}
    return reply(sse({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("TAKO_MODEL", "openai:m")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = PLUGINS.snapshot()
    yield tmp_path / "work"
    PLUGINS.restore(before)


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve(answers) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running


def chat(*arguments: str) -> None:
    before = PLUGINS.snapshot()
    assert main(["chat", *arguments]) == 0
    PLUGINS.restore(before)  # a process ends here


def logged(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main(["logs", *(arguments or ("list",)), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def file(folder: Path) -> Path:
    return folder.parent / "home" / "tako" / "log.db"


def test_nothing_is_logged_before_on_or_after_off_or_with_private(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chat("before")
    assert not file(folder).exists()
    assert main(["logs"]) == 0
    assert "the log is off" in capsys.readouterr().err
    assert main(["logs", "on"]) == 0
    chat("first")
    chat("--private", "secretly")
    assert main(["logs", "off"]) == 0
    chat("after")
    assert [row["question"] for row in logged(capsys)] == ["first"]
    assert stat.S_IMODE(file(folder).stat().st_mode) == 0o600


def test_a_conversation_continues_with_its_model_options_and_instruction(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "on"]) == 0
    chat("-m", "openai:other", "-o", "max_retries=0", "-o", f"base_url={server.url}", "-s", "Be kind.", "One?")
    id = logged(capsys)[0]["id"]
    chat("-m", "openai:third", "Else")
    for mode in (["-C", id, "Two?"], ["-C", "Three?"], ["--continue", id[:-1], "Four?"]):
        chat(*mode)
    sent = server.requests[-1].json
    assert sent["model"] == "other"
    assert [one["content"] for one in sent["messages"] if one["role"] != "assistant"] == [
        "Be kind.",
        "One?",
        "Two?",
        "Three?",
        "Four?",
    ]
    assert {row["id"]: row["turns"] for row in logged(capsys)}[id] == 4


def test_secret_options_have_to_be_passed_again(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "on"]) == 0
    options = ["-o", "api_key=sk-given-by-hand-000000", "-o", 'headers={"x-api-key": "sk-in-a-header-000"}']
    chat(*options, "One?")
    assert main(["chat", "-C", "Two?"]) == 2
    assert "pass them again: -o api_key=… -o headers=…" in capsys.readouterr().err
    chat("-C", *options, "Two?")
    assert server.requests[-1].json["messages"][-1]["content"] == "Two?"
    data = file(folder).read_bytes()
    assert b"sk-given" not in data
    assert b"sk-in-a-header" not in data


def test_texts_that_plugins_remove_are_never_in_the_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @tako.around
    async def restoring(request: Any, inner: Any) -> Any:
        """Remove a number from requests, and put it back into answers."""
        text = request.messages[-1].text.replace("4111", "<card>")
        async for chunk in inner(tako.ChatRequest([*request.messages[:-1], tako.Message.user(text)])):
            yield tako.Delta(chunk.text.replace("<card>", "4111")) if chunk.kind == "delta" else chunk

    @tako.around
    async def censoring(request: Any, inner: Any) -> Any:
        async for chunk in inner(request):
            yield tako.Delta(chunk.text.replace("answer", "[word]")) if chunk.kind == "delta" else chunk

    class Translating:
        @tako.hookimpl(wrapper=True)
        def tako_translator(self) -> Any:
            inner = yield

            def encode(part: Any, context: Any) -> Any:
                kept = tako.ContentPart.text(part.text.replace("hunter2", "***"))
                return inner.encode(kept, context)

            return tako.Translator(encode=encode, decode=inner.decode)

    assert main(["logs", "on"]) == 0
    for plugin, question, kept in (
        (restoring, "My card is 4111.", ("My card is <card>.", "answer 1 to My card is <card>.")),
        (censoring, "Say it.", ("Say it.", "[word] 1 to Say it.")),
        (Translating(), "It is hunter2.", ("It is ***.", "answer 1 to It is ***.")),
    ):
        before = PLUGINS.snapshot()
        tako.register(plugin)
        chat(question)
        PLUGINS.restore(before)
        [turn] = logged(capsys, "show")["turns"]
        assert (turn["question"], turn["answer"]) == kept
    data = file(folder).read_bytes()
    assert b"4111" not in data
    assert b"hunter2" not in data


def test_keys_are_logged_as_variables_and_images_as_paths(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pixel.png").write_bytes(PIXEL)
    assert main(["logs", "on"]) == 0
    chat("-f", "pixel.png", f"My key is {KEY}, the other sk-proj-abcdefghijklmnop1234")
    data = file(folder).read_bytes()
    assert KEY.encode() not in data
    assert b"sk-proj" not in data
    assert base64.b64encode(PIXEL) not in data
    [turn] = logged(capsys, "show")["turns"]
    assert turn["question"] == "My key is $ENV:OPENAI_API_KEY, the other ***"
    assert turn["messages"][0]["content"][0]["reference"]["path"] == str(folder / "pixel.png")
    chat("-C", "And now?")
    assert "image_url" in json.dumps(server.requests[-1].json["messages"][0])
    (folder / "pixel.png").unlink()
    chat("-C", "And now?")
    assert "pixel.png was deleted or changed" in capsys.readouterr().err
    assert "image_url" not in json.dumps(server.requests[-1].json["messages"][0])


def test_the_log_is_listed_searched_exported_and_pruned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "on"]) == 0
    chat("Straße nach Paris")
    chat("The way to Rome")
    chat("-C", "and back")
    rows = logged(capsys)
    assert [(row["question"], row["turns"]) for row in rows] == [("The way to Rome", 2), ("Straße nach Paris", 1)]
    assert [row["question"] for row in logged(capsys, "search", "STRASSE", "paris")] == ["Straße nach Paris"]
    assert main(["logs", "search", "London"]) == 1
    capsys.readouterr()
    assert main(["logs", "export"]) == 0
    lines = capsys.readouterr().out.splitlines()
    read = [Conversation.from_json(tako.get_provider("openai:m"), line) for line in lines]
    assert [len(one.messages) for one in read] == [2, 4]
    assert main(["logs", "prune"]) == 2
    assert logged(capsys, "prune", "--days", "1") == {"deleted": 0}
    assert logged(capsys, "prune", rows[0]["id"]) == {"deleted": 1}
    assert logged(capsys, "prune", "--all") == {"deleted": 1}
    assert logged(capsys) == []


def test_deleted_text_is_gone_from_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "on"]) == 0
    chat("a-word-that-stands-nowhere-else")
    assert b"nowhere-else" in file(folder).read_bytes()
    assert main(["logs", "prune", "--all"]) == 0
    assert b"nowhere-else" not in file(folder).read_bytes()


def test_the_size_is_bounded_and_the_oldest_goes(folder: Path) -> None:
    with Log(folder / "log.db") as log:
        log.set("max_mb", "1")
        ids = [log.begin(Start("openai:m", [], [], None)) for _ in range(8)]
        for id in ids:
            log.add(id, LoggedTurn("openai:m", f"question of {id}", "x" * 300_000, "[]", 1, 1, None, 0.1))
        assert log.size <= log.max_bytes
        assert log.ids() == ids[-len(log.ids()) :]
        with pytest.raises(tako.ConfigurationError, match="too large for the log"):
            log.add(ids[-1], LoggedTurn("openai:m", "q", "x" * 600_000, "[]", 1, 1, None, 0.1))


def test_a_broken_log_is_one_line_and_the_turn_is_still_answered(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "on"]) == 0
    with closing(sqlite3.connect(file(folder))) as database, database:
        database.execute("DROP TABLE turns")
    chat("Hello")
    out, err = capsys.readouterr()
    assert out == "answer 1 to Hello\n"
    assert "tako: not logged: the log" in err
    file(folder).write_bytes(b"no database" * 100)
    assert main(["logs"]) == 2
    assert "can't be used: file is not a database" in capsys.readouterr().err
    chat("Hello")
    out, err = capsys.readouterr()
    assert out == "answer 1 to Hello\n"
    assert err.startswith("tako: not logged: the log")
    chat("--private", "Hello")
    assert capsys.readouterr().err == ""
    assert main(["chat", "-C", "Hello"]) == 2


@pytest.mark.parametrize(("id", "problem"), [("20200101-abcd", "has no conversation 20200101-abcd"), ("", "is empty")])
def test_an_unknown_conversation_is_refused(
    id: str, problem: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "-C", "Hello"]) == 2
    assert "tako logs on keeps conversations" in capsys.readouterr().err
    assert main(["logs", "on"]) == 0
    assert main(["chat", *(["-C", id] if id else ["-C"]), "Hello"]) == 2
    assert problem in capsys.readouterr().err
    assert server.requests == []


def test_a_saved_conversation_continues(folder: Path, server: Server) -> None:
    conversation = Conversation(tako.get_provider("openai:m"), system="Be brief.")
    conversation.blocking.say("One?")
    (folder / "kept.json").write_text(conversation.to_json())
    chat("-C", "kept.json", "Two?")
    assert [one["content"] for one in server.requests[-1].json["messages"]] == [
        "Be brief.",
        "One?",
        "answer 2 to One?",
        "Two?",
    ]


def test_secrets_in_addresses_and_in_options_that_have_a_key_are_not_in_the_log(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "on"]) == 0
    image = "https://me:hunter2@h.example/x.png?size=3&token=to-ken-1&X-Amz-Signature=sig-1#a"
    chat("-i", image, "Copy postgres://me:pass-2@db/x and see http://h.example/?page=2.")
    assert server.requests[0].json["messages"][0]["content"][0]["image_url"]["url"] == image
    data = file(folder).read_bytes()
    assert not [one for one in (b"hunter2", b"to-ken-1", b"sig-1", b"pass-2") if one in data]
    [turn] = logged(capsys, "show")["turns"]
    assert turn["question"] == "Copy postgres://***@db/x and see http://h.example/?page=2."
    assert "//***@h.example/x.png?size=3&token=***&X-Amz-Signature=***#a" in json.dumps(turn["messages"])
    chat("-o", f'headers={{"X-Who": "{KEY}"}}', "Again")
    assert KEY.encode() not in file(folder).read_bytes()
    assert main(["chat", "-C", "More"]) == 2
    assert "pass them again: -o headers=…" in capsys.readouterr().err


def test_a_missing_file_is_not_sent_as_a_prompt(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "on"]) == 0
    chat("One?")
    capsys.readouterr()
    assert main(["chat", "-C", "gone.json", "Two?"]) == 2
    assert capsys.readouterr().err == "tako: gone.json: No such file or directory\n"
    assert len(server.requests) == 1


TURN = LoggedTurn("m", "q", "a", "[]", 1, 1, None, 0.0)


def test_undo_removes_only_its_own_turn(folder: Path) -> None:
    from tako.cli.recorder import Recorder
    from tako.cli.session import Turn

    with Log(folder / "log.db") as log:
        id = log.begin(Start("openai:m", [], [], None))
        log.add(id, TURN)
        provider = tako.get_provider("openai:m")
        recorder = Recorder(log, "openai:m", [], id=id)
        response = tako.ChatResponse(tako.Message.assistant("a plugin's"))
        recorder.keep(provider, Turn([tako.Message.user("q"), response.message], response, response.usage, None), None)
        recorder.undo()  # what a plugin answered isn't in the log
        assert len(log.turns(id)) == 1
        number = log.add(id, TURN)
        log.add(id, TURN)
        log.undo(number)
        assert number not in [turn["number"] for turn in log.turns(id)]
        assert len(log.turns(id)) == 2


def test_a_log_that_another_process_is_creating_is_used(folder: Path) -> None:
    with Log(folder / "log.db") as log:
        id = log.begin(Start("openai:m", [], [], None))
    with closing(sqlite3.connect(folder / "log.db")) as database, database:
        database.execute("PRAGMA user_version = 0")
    with Log(folder / "log.db") as log:
        assert log.ids() == [id]


def test_undo_reaches_turns_from_before_the_conversation_continued(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "on"]) == 0
    chat("Stays")
    chat("One?")
    chat("-C", "Two?")
    screen = Terminal("chat", "-C")
    for typed, answer in (
        ("/undo", "are forgotten"),
        ("Three?", "answer 3 to Three?"),
        ("/undo", "are forgotten"),
        ("/undo", "are forgotten"),
        ("/undo", "Nothing to undo"),
    ):
        earlier = screen.plain.count(answer)
        screen.type(f"{typed}{ENTER}")
        until(lambda answer=answer, earlier=earlier: screen.plain.count(answer) > earlier)
    screen.type(CTRL_D)
    assert screen.close() == 0
    assert [row["question"] for row in logged(capsys)] == ["Stays"]
    chat("-C", "And now?")
    assert server.requests[-1].json["messages"][0]["content"] == "Stays"
