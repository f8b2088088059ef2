"""``tako tokens``: how many tokens a prompt has, as the vendor counts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.models import pick
from tako.cli.question import read_prompt
from tako.types import ChatRequest, Message

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Carry out the command; the prompt isn't answered."""
    prompt = read_prompt(options.prompt)
    if prompt is None:
        raise UsageError('the prompt is empty: write it after the command, as in tako tokens "Hello", or pipe it in')
    provider, _ = pick(options.model, options.option, options.config)
    system = [] if options.system is None else [Message.system(options.system)]
    try:
        counted = provider.blocking.count_tokens(ChatRequest([*system, Message.user(prompt)]))
    finally:
        provider.blocking.close()
    if options.json:
        counts = {"model": provider.id, "input_tokens": counted.input_tokens}
        sys.stdout.write(msgspec.json.encode(counts).decode() + "\n")
    else:
        sys.stdout.write(f"{counted.input_tokens}\n")
    return 0
