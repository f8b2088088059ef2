"""``tako logs``: keep, search, show and delete conversations."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.log import MAX_MB, MEGABYTE, Log
from tako.cli.recorder import read_back
from tako.cli.resumption import log_file, open_log
from tako.cli.run import FAILED, print_to_stderr
from tako.cli.screen import Screen
from tako.cli.session import print_json
from tako.cli.table import print_rows
from tako.cli.terminal import printable
from tako.conversation import HISTORY_VERSION, History
from tako.errors import ConfigurationError
from tako.json_values import as_array

if TYPE_CHECKING:
    from argparse import Namespace

CONTEXT = 40
"""Characters before and after a match that are shown."""


def run(options: Namespace) -> int:
    """Run the command."""
    if options.action in ("on", "off"):
        return _switch(options)
    actions = {"list": _list, "show": _show, "search": _search, "export": _export, "prune": _prune}
    with ExitStack() as stack:
        log = open_log(stack)
        if log is not None:
            return actions[options.action](log, options)
    print_to_stderr("tako: the log is off; tako logs on keeps conversations from now on")
    if options.json:
        print_rows([], as_json=True)
    return 0 if options.action == "list" else FAILED


def _switch(options: Namespace) -> int:
    file = log_file()
    if file is None:
        raise ConfigurationError("the log needs a home folder; set HOME or XDG_DATA_HOME")
    is_on = options.action == "on"
    if is_on or file.exists():
        with Log(file) as log:
            log.set("on", "1" if is_on else "0")
            if is_on and options.max_mb is not None:
                log.set("max_mb", str(max(1, options.max_mb)))
            facts: dict[str, Any] = {"on": is_on, "file": str(file), "bytes": log.size, "max_bytes": log.max_bytes}
    else:
        facts = {"on": False, "file": str(file), "bytes": 0, "max_bytes": MAX_MB * MEGABYTE}
    if options.json:
        print_json(facts)
    elif is_on:
        print_to_stderr(
            f"tako: conversations are kept in {file} from now on (at most {facts['max_bytes'] // MEGABYTE} MB)"
        )
    else:
        print_to_stderr(f"tako: the log is off; its conversations stay in {file} (tako logs prune --all deletes them)")
    return 0


def _list(log: Log, options: Namespace) -> int:
    rows = log.conversations(options.number)
    if options.json:
        print_rows(rows, as_json=True)
    elif rows:
        print_rows([_row(row) for row in rows], as_json=False)
    else:
        print_to_stderr("tako: the log is empty")
    if not log.is_on:
        print_to_stderr("tako: the log is off; tako logs on keeps conversations from now on")
    return 0


def _row(row: dict[str, Any]) -> dict[str, Any]:
    cost = "" if row["cost"] is None else f"${row['cost']:.4f}"
    facts = {"id": row["id"], "last": _format_time(row["updated"]), "model": row["wanted"], "turns": row["turns"]}
    return {**facts, "tokens": row["tokens"], "cost": cost, "question": _shorten(row["question"] or "")}


def _show(log: Log, options: Namespace) -> int:
    id = log.find(options.id)
    start, turns = log.start(id), log.turns(id)
    if options.json:
        for turn in turns:
            turn["messages"] = msgspec.json.decode(turn["messages"])
        print_json({"id": id, "model": start.model, "system": start.system, "turns": turns})
        return 0
    text = f"# {id} {start.model}\n" + (f"\nSystem: {start.system}\n" if start.system else "")
    for turn in turns:
        text += f"\n## {_format_time(turn['at'])}\n\n{turn['question']}{_files(turn)}\n\n---\n\n{turn['answer']}\n"
    with Screen() as screen:
        screen.add(text)
    return 0


def _files(turn: dict[str, Any]) -> str:
    """Return the paths of the files of a question."""
    content = as_array(msgspec.json.decode(turn["messages"])[0]["content"]) or []
    paths = [part["reference"]["path"] for part in content if "reference" in part]
    return "".join(f"\n\n[{path}]" for path in paths)


def _search(log: Log, options: Namespace) -> int:
    turns = log.search(options.words, options.number)
    if options.json:
        print_rows(turns, as_json=True)
    elif turns:
        term = options.words[0]
        rows = [
            {
                "id": row["conversation"],
                "when": _format_time(row["at"]),
                "text": _excerpt(f"{row['question']} {row['answer']}", term),
            }
            for row in turns
        ]
        print_rows(rows, as_json=False)
    else:
        print_to_stderr("tako: no turn contains all of these words")
    return 0 if turns else FAILED


def _export(log: Log, options: Namespace) -> int:
    for id in [log.find(id) for id in options.ids] or log.ids():
        start = log.start(id)
        history = History(HISTORY_VERSION, read_back(log.turns(id)), start.system)
        line = {"id": id, "model": start.model, **msgspec.to_builtins(history)}
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    return 0


def _prune(log: Log, options: Namespace) -> int:
    if not (options.ids or options.all or options.days is not None):
        raise UsageError("nothing to delete: pass ids, --days N, or --all")
    ids = log.ids() if options.all else [log.find(id) for id in options.ids]
    if options.days is not None:
        ids += log.older(options.days)
    count = log.delete(dict.fromkeys(ids))
    if options.json:
        print_json({"deleted": count})
    else:
        print_to_stderr(f"tako: {count} conversation{'s' * (count != 1)} deleted")
    return 0


def _format_time(timestamp: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(timestamp))


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 2 * CONTEXT else f"{line[: 2 * CONTEXT]}…"


def _excerpt(text: str, term: str) -> str:
    """Cut a text to the part around a term."""
    line = printable(" ".join(text.split()))
    start = max(0, line.casefold().find(term.casefold()) - CONTEXT)
    excerpt = line[start : start + 2 * CONTEXT + len(term)]
    return f"{'…' * (start > 0)}{excerpt}{'…' * (start + len(excerpt) < len(line))}"
