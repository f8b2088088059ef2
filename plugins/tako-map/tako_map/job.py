"""``tako map``: from file to file, going on where an earlier run stopped."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, table_of
from tako.cli.models import configuration_for, pick, read_options
from tako.cli.run import FAILED, INTERRUPTED, complain
from tako.errors import ConfigurationError, TakoError
from tako.options import fit
from tako_map.answers import Answers
from tako_map.keyset import KeySet
from tako_map.output import open_output
from tako_map.progress import Progress
from tako_map.prompt import Prompt, read_schema
from tako_map.reading import Source
from tako_map.record import record
from tako_map.running import Run
from tako_map.settings import Settings

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.provider import Provider
    from tako_map.output import Output
    from tako_map.values import Result


class Job:
    """One run of the command."""

    def __init__(self, options: Namespace) -> None:
        schema = read_schema(Path(options.schema)) if options.schema else None
        self._input = Path(options.input)
        prompt = Prompt(
            options.prompt,
            system=options.system,
            schema=schema,
            image_column=options.image_column,
            max_tokens=options.max_tokens,
            temperature=options.temperature,
        )
        prompt.folder = self._input.parent
        if options.prompt is not None and not prompt.columns:
            raise UsageError("--prompt has no place for a column: write {column} where its text goes")
        self._known = KeySet()
        self._source = Source(self._input, prompt, key=options.key, known=self._known)
        settings = _settings(options, Answers(schema) if schema is not None else None)
        self._output = open_output(options.output)
        self._spent = 0.0
        self._unpriced = (0, 0)  # tokens of rows whose exact cost is not known
        self._open(retry_failed=options.retry_failed)
        self._run = Run(self._source, replace(settings, spent=self._spent, unpriced=self._unpriced))
        self.progress = Progress(lambda: self._source.fraction, self._cost, lambda: self._run.pace.in_flight)
        self.interrupted = False

    async def run(self) -> None:
        """Carry it out; whatever happens, the output is closed in order."""
        showing = asyncio.create_task(self.progress.show())
        try:
            await self._run.deliver(self._deliver)
        except asyncio.CancelledError:
            self.interrupted = True
        finally:
            showing.cancel()
            await asyncio.wait([showing])
            self._output.close()

    def report(self) -> int:
        """Say how it went, and how to go on; returns the exit code."""
        progress, source = self.progress, self._source
        stopped = self._run.stopped
        before = {"done before": f"{source.skipped:,}"} if source.skipped else {}
        left_out = {"left out": f"{progress.refused:,}"} if progress.refused else {}
        known = self._spent + progress.cost
        total = {"cost with earlier runs": f"${known:,.4f}"} if self._spent else {}
        most = {"cost at most": f"${self._cost():,.4f}"} if self._cost() > known else {}
        progress.summary({**before, **left_out, **total, **most})
        if self.interrupted:
            complain(f"tako: stopped; {progress.done:,} rows were done now; the same command goes on from here")
            return INTERRUPTED
        if stopped is not None:
            complain(f"tako: stopped: {stopped}; the same command goes on from here")
            return FAILED
        if not (progress.done or progress.failed or progress.refused or source.skipped):
            complain(f"tako: {self._input}: there are no rows; nothing was asked")
        if progress.failed:
            complain(f"tako: {progress.failed:,} rows failed, the output says why; --retry-failed asks them again")
        return FAILED if progress.failed or progress.refused else 0

    def _open(self, *, retry_failed: bool) -> None:
        """Learn which keys the output has."""
        try:
            for one in self._output.known(forget_failed=retry_failed):
                self._known.add(one.key)
                self._spent += one.cost or 0.0
                if one.cost is None:
                    self._unpriced = self._unpriced[0] + one.input_tokens, self._unpriced[1] + one.output_tokens
        except BaseException:
            _abandon(self._output)
            raise
        if self._output.repaired:
            complain("tako: the last line of the output was torn; its row is done again")

    def _cost(self) -> float:
        """Return what all has cost, at most: where a price is not known, the budget has an estimate."""
        budget = self._run.budget
        return max(self._spent + self.progress.cost, budget.spent if budget is not None else 0.0)

    def _deliver(self, result: Result) -> None:
        if result.attempts == 0 and isinstance(result.error, ConfigurationError):
            complain(f"tako: {self._input}: {result.error}")
        if result.key is None:
            self.progress.refused += 1
            return
        made = record(result)
        self._output.write(made)
        self.progress.count(made)


def run(options: Namespace) -> int:
    """Carry out the command."""
    job = Job(options)
    try:
        asyncio.run(job.run())
    except KeyboardInterrupt:
        job.interrupted = True
    except OSError as error:
        complain(f"tako: {error}; the same command goes on from here")
        return FAILED
    return job.report()


def _settings(options: Namespace, answers: Answers | None) -> Settings:
    provider, provider_options = _chosen(options)
    return Settings(
        provider=provider,
        options=provider_options,
        engine=options.engine,
        address=options.address,
        workers=options.workers,
        rpm=options.rpm,
        tpm=options.tpm,
        max_cost=options.max_cost,
        concurrency=options.concurrency,
        attempts=options.attempts,
        budget=options.budget,
        answers=answers,
    )


def _chosen(options: Namespace) -> tuple[str | Provider, dict[str, Any]]:
    """Return a provider for this process, or the id and the options that travel to workers."""
    if options.engine == "local":
        provider, fallback = pick(options.model, options.option, options.config)
        if fallback:
            complain(f"tako: no model was chosen, so a small one in this process answers ({provider.id}); see -m")
        return provider, {}
    wanted = options.model or os.environ.get("TAKO_MODEL")
    if not wanted:
        raise UsageError(f"--engine {options.engine} needs -m, or TAKO_MODEL")
    config = configuration_for(wanted, options.config)
    table = table_of(config, wanted)
    if config is None or table is None:
        return wanted, read_options(wanted, options.option)
    fitted = {name: fit(value, name, Any) for name, value in table.options.items()}
    announce(config, options.config)
    return table.id, {**fitted, **read_options(table.id, options.option)}


def _abandon(output: Output) -> None:
    """Let go of an output that is none; nothing of it is changed."""
    with suppress(OSError, TakoError):
        output.close()
