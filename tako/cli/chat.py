"""``tako chat``: one question, or a conversation."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tako.cli.attachments import read_attachments
from tako.cli.configuration import announce
from tako.cli.models import decide
from tako.cli.question import read_prompt
from tako.cli.run import complain
from tako.cli.session import Session
from tako.cli.settings import fill, find_template, settle
from tako.parts import ContentPart
from tako.presets import Preset
from tako.types import Message

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.cli.keeping import Keeping
    from tako.cli.models import Choice
    from tako.cli.recorder import Recorder
    from tako.config import Config
    from tako.presets import Template
    from tako.types import Part


def run(options: Namespace) -> int:
    """Carry out the command."""
    if options.save is not None:
        from tako.cli.templates import save

        return save(options)
    with ExitStack() as stack:
        kept = _resume(options, stack)
        choice, template = _choose(options)
        prompt = fill(options, template, read_prompt(options.prompt, needed=template is None or template.wants_input))
        recorder = kept.recorder(choice.wanted, options)
        session = _session(options, choice, recorder)
        session.before = kept.messages
        return _talk_or_ask(session, options, prompt)


def _resume(options: Namespace, stack: ExitStack) -> Keeping:
    """Open the log if there is one, and read the conversation that goes on."""
    from tako.cli.keeping import Keeping

    return Keeping(options, stack)


def _talk_or_ask(session: Session, options: Namespace, prompt: str | None) -> int:
    attached = read_attachments(options.attached)
    if session.recorder is not None:
        session.recorder.attach(attached, [name for _, name in options.attached])
    if prompt is None:
        from tako.cli.talk import talk

        return talk(session, attached)
    content: str | list[Part] = prompt
    if attached:
        content = [*attached, *([ContentPart.text(prompt)] if prompt else [])]
    asyncio.run(_once(session, Message.user(content)))
    return 0


def _choose(options: Namespace) -> tuple[Choice, Template | None]:
    """Decide on the model, and settle what the options leave open."""
    template: Template | None = None
    configured: Config | None = None

    def preset(config: Config | None) -> str | None:
        nonlocal template, configured
        configured = config
        template = find_template(options.template, config)
        return template.preset.model if template is not None else None

    choice = decide(options.model, options.option, options.config, preset=preset)
    settle(options, template, configured)
    if configured is not None and choice.table is None and not configured.plugins and _uses(configured, template):
        announce(configured, options.config)
    return choice, template


def _uses(config: Config, template: Template | None) -> bool:
    """Whether a configuration says how to chat, beside the models that it has."""
    return config.chat != Preset() or (template is not None and template.file == config.path)


def _session(options: Namespace, choice: Choice, recorder: Recorder | None) -> Session:
    """Make what asks."""
    provider = choice.provider()
    if choice.fallback:
        complain(f"tako: no model was chosen, so a small one in this process answers ({provider.id}); see -m")
    tools = wanted = None
    if options.tools:
        from tako.cli.importing import find_tools

        tools = [function for named in options.tools for function in find_tools(named)]
    if options.schema is not None:
        from tako.cli.schemas import read_schema

        wanted = read_schema(options.schema)
    return Session(provider, options, tools=tools or (), wanted=wanted, recorder=recorder)


async def _once(session: Session, message: Message) -> None:
    async with session.provider:
        await session.ask(message)
