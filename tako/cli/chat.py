"""``tako chat``: one question, or a conversation."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tako.cli.attachments import read_attachments
from tako.cli.configuration import announce
from tako.cli.models import choose_model
from tako.cli.prompt import read_prompt
from tako.cli.run import print_to_stderr
from tako.cli.session import Session
from tako.cli.settings import apply_presets, fill_template, find_template
from tako.parts import ContentPart
from tako.presets import Preset
from tako.types import Message

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.cli.models import Choice
    from tako.cli.recorder import Recorder
    from tako.cli.resumption import Resumption
    from tako.config import Config
    from tako.presets import Template
    from tako.types import Part


def run(options: Namespace) -> int:
    """Run the command."""
    if options.save is not None:
        from tako.cli.templates import save

        return save(options)
    with ExitStack() as stack:
        resumption = _resume(options, stack)
        choice, template = _choose(options)
        prompt = fill_template(
            options, template, read_prompt(options.prompt, needed=template is None or template.needs_input)
        )
        recorder = resumption.recorder(choice.id, options)
        session = _make_session(options, choice, recorder)
        session.earlier_messages = resumption.messages
        return _talk_or_ask(session, options, prompt)


def _resume(options: Namespace, stack: ExitStack) -> Resumption:
    """Open the log if there is one, and read the conversation that -C continues."""
    from tako.cli.resumption import Resumption

    return Resumption(options, stack)


def _talk_or_ask(session: Session, options: Namespace, prompt: str | None) -> int:
    attached = read_attachments(options.attached)
    if session.recorder is not None:
        session.recorder.attach(attached, [name for _, name in options.attached])
    if prompt is None:
        from tako.cli.conversation import run_conversation

        return run_conversation(session, attached)
    content: str | list[Part] = prompt
    if attached:
        content = [*attached, *([ContentPart.text(prompt)] if prompt else [])]
    asyncio.run(_ask_once(session, Message.user(content)))
    return 0


def _choose(options: Namespace) -> tuple[Choice, Template | None]:
    """Choose the model, and fill in options from the template and the configuration."""
    template: Template | None = None
    config: Config | None = None

    def model_of_template(current: Config | None) -> str | None:
        nonlocal template, config
        config = current
        template = find_template(options.template, config)
        return template.preset.model if template is not None else None

    choice = choose_model(options.model, options.option, options.config, preset=model_of_template)
    apply_presets(options, template, config)
    if config is not None and choice.table is None and not config.plugins and _has_chat_settings(config, template):
        announce(config, options.config)
    return choice, template


def _has_chat_settings(config: Config, template: Template | None) -> bool:
    """Whether a configuration has more that applies to chats than its models."""
    return config.chat != Preset() or (template is not None and template.file == config.path)


def _make_session(options: Namespace, choice: Choice, recorder: Recorder | None) -> Session:
    """Make the session, with its tools and its schema."""
    provider = choice.provider()
    if choice.fallback:
        print_to_stderr(f"tako: no model was chosen, so the embedded model answers ({provider.id}); -m chooses another")
    tools = response_type = None
    if options.tools:
        from tako.cli.imports import find_tools

        tools = [function for named in options.tools for function in find_tools(named)]
    if options.schema is not None:
        from tako.cli.schemas import read_schema

        response_type = read_schema(options.schema)
    return Session(provider, options, tools=tools or (), response_type=response_type, recorder=recorder)


async def _ask_once(session: Session, message: Message) -> None:
    async with session.provider:
        await session.ask(message)
