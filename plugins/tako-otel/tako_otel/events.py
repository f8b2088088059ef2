"""Exceptions as events: log records with a name."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from opentelemetry._logs import LogRecord, SeverityNumber, get_logger

from tako_otel import attributes as names
from tako_otel import legacy

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context

SCOPE = "tako_otel"


def emit_exception(
    error: Exception, context: Context, provider: LoggerProvider | None, *, content: bool, old_names: bool
) -> None:
    """Emit the event of an error. Its text and its traceback may quote messages, so they count as content."""
    attributes = {names.EXCEPTION_TYPE: f"{type(error).__module__}.{type(error).__qualname__}"}
    if content:
        attributes[names.EXCEPTION_MESSAGE] = str(error)
        attributes[names.EXCEPTION_STACKTRACE] = "".join(traceback.format_exception(error))
    logger = get_logger(SCOPE, logger_provider=provider, schema_url=names.SCHEMA_URL)
    for name in (names.EXCEPTION_EVENT, *([legacy.EXCEPTION_EVENT] if old_names else [])):
        logger.emit(
            LogRecord(event_name=name, severity_number=SeverityNumber.WARN, attributes={**attributes}, context=context)
        )
