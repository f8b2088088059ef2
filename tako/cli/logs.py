"""``tako logs``: keep conversations, find them again, delete them."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.keeping import log_file, open_log
from tako.cli.log import MEGABYTE, MOST_MB, Log
from tako.cli.recorder import read_back
from tako.cli.run import FAILED, complain
from tako.cli.screen import Screen, printable
from tako.cli.session import print_json
from tako.cli.table import show
from tako.conversation import VERSION, History
from tako.errors import ConfigurationError
from tako.json_values import as_array

if TYPE_CHECKING:
    from argparse import Namespace

AROUND = 40
"""Characters before and after a word that was searched for."""


def run(options: Namespace) -> int:
    """Carry out the command."""
    if options.action in ("on", "off"):
        return _switch(options)
    actions = {"list": _list, "show": _show, "search": _search, "export": _export, "prune": _prune}
    with ExitStack() as stack:
        log = open_log(stack)
        if log is not None:
            return actions[options.action](log, options)
    complain("tako: nothing is kept: the log is off; tako logs on keeps conversations from now on")
    if options.json:
        show([], as_json=True)
    return 0 if options.action == "list" else FAILED


def _switch(options: Namespace) -> int:
    file = log_file()
    if file is None:
        raise ConfigurationError("the log needs a home folder; set HOME or XDG_DATA_HOME")
    on = options.action == "on"
    if on or file.exists():
        with Log(file) as log:
            log.set("on", "1" if on else "0")
            if on and options.max_mb is not None:
                log.set("max_mb", str(max(1, options.max_mb)))
            facts: dict[str, Any] = {"on": on, "file": str(file), "bytes": log.size, "max_bytes": log.most}
    else:
        facts = {"on": False, "file": str(file), "bytes": 0, "max_bytes": MOST_MB * MEGABYTE}
    if options.json:
        print_json(facts)
    elif on:
        complain(f"tako: conversations are kept in {file} from now on (at most {facts['max_bytes'] // MEGABYTE} MB)")
    else:
        complain(f"tako: conversations aren't kept; what is there stays in {file} (tako logs prune --all deletes it)")
    return 0


def _list(log: Log, options: Namespace) -> int:
    rows = log.conversations(options.number)
    if options.json:
        show(rows, as_json=True)
    elif rows:
        show([_row(row) for row in rows], as_json=False)
    else:
        complain("tako: the log is empty")
    if not log.on:
        complain("tako: the log is off; tako logs on keeps conversations from now on")
    return 0


def _row(row: dict[str, Any]) -> dict[str, Any]:
    cost = "" if row["cost"] is None else f"${row['cost']:.4f}"
    facts = {"id": row["id"], "last": _day(row["updated"]), "model": row["wanted"], "turns": row["turns"]}
    return {**facts, "tokens": row["tokens"], "cost": cost, "question": _start(row["question"] or "")}


def _show(log: Log, options: Namespace) -> int:
    id = log.find(options.id)
    start, turns = log.start(id), log.turns(id)
    if options.json:
        for turn in turns:
            turn["messages"] = msgspec.json.decode(turn["messages"])
        print_json({"id": id, "model": start.wanted, "system": start.system, "turns": turns})
        return 0
    text = f"# {id} {start.wanted}\n" + (f"\nSystem: {start.system}\n" if start.system else "")
    for turn in turns:
        text += f"\n## {_day(turn['at'])}\n\n{turn['question']}{_files(turn)}\n\n---\n\n{turn['answer']}\n"
    with Screen() as screen:
        screen.add(text)
    return 0


def _files(turn: dict[str, Any]) -> str:
    """Name the files of a question."""
    content = as_array(msgspec.json.decode(turn["messages"])[0]["content"]) or []
    paths = [part["reference"]["path"] for part in content if "reference" in part]
    return "".join(f"\n\n[{path}]" for path in paths)


def _search(log: Log, options: Namespace) -> int:
    found = log.search(options.words, options.number)
    if options.json:
        show(found, as_json=True)
    elif found:
        word = options.words[0]
        rows = [
            {
                "id": row["conversation"],
                "when": _day(row["at"]),
                "text": _near(f"{row['question']} {row['answer']}", word),
            }
            for row in found
        ]
        show(rows, as_json=False)
    else:
        complain("tako: no turn has all these words")
    return 0 if found else FAILED


def _export(log: Log, options: Namespace) -> int:
    for id in [log.find(one) for one in options.ids] or log.ids():
        start = log.start(id)
        history = History(VERSION, read_back(log.turns(id)), start.system)
        line = {"id": id, "model": start.wanted, **msgspec.to_builtins(history)}
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    return 0


def _prune(log: Log, options: Namespace) -> int:
    if not (options.ids or options.all or options.days is not None):
        raise UsageError("say what to delete: ids, --days N, or --all")
    ids = log.ids() if options.all else [log.find(one) for one in options.ids]
    if options.days is not None:
        ids += log.older(options.days)
    count = log.delete(dict.fromkeys(ids))
    if options.json:
        print_json({"deleted": count})
    else:
        complain(f"tako: {count} conversation{'s' * (count != 1)} deleted")
    return 0


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _start(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 2 * AROUND else f"{line[: 2 * AROUND]}…"


def _near(text: str, word: str) -> str:
    """Cut a text to the surroundings of a word."""
    line = printable(" ".join(text.split()))
    at = max(0, line.casefold().find(word.casefold()) - AROUND)
    cut = line[at : at + 2 * AROUND + len(word)]
    return f"{'…' * (at > 0)}{cut}{'…' * (at + len(cut) < len(line))}"
