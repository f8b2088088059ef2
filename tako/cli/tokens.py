"""``tako tokens``: count the tokens of a prompt as the vendor does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.models import make_provider
from tako.cli.prompt import read_prompt
from tako.types import ChatRequest, Message

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Run the command; the prompt isn't answered."""
    prompt = read_prompt(options.prompt)
    if prompt is None:
        raise UsageError('the prompt is empty; try: tako tokens "Hello"')
    provider, _ = make_provider(options.model, options.option, options.config)
    system = [] if options.system is None else [Message.system(options.system)]
    try:
        count = provider.blocking.count_tokens(ChatRequest([*system, Message.user(prompt)]))
    finally:
        provider.blocking.close()
    if options.json:
        counts = {"model": provider.id, "input_tokens": count.input_tokens}
        sys.stdout.write(msgspec.json.encode(counts).decode() + "\n")
    else:
        sys.stdout.write(f"{count.input_tokens}\n")
    return 0
