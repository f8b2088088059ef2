"""One run of ``tako map``: from file to file. It continues where an earlier run stopped."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, announce_rules
from tako.cli.models import Choice, choose_model
from tako.cli.run import FAILED, INTERRUPTED, print_to_stderr
from tako.cli.terminal import is_terminal
from tako.errors import ConfigurationError
from tako_map.command.progress import Progress
from tako_map.input.keyset import KeySet
from tako_map.input.prompt import Prompt, read_schema
from tako_map.input.source import Source
from tako_map.output import STANDARD, open_output
from tako_map.output.fingerprint import read_fingerprint, take_fingerprint, write_fingerprint
from tako_map.output.record import make_record, unwritable_record
from tako_map.results import AnswerReader
from tako_map.runs import Run, Settings

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.provider import Provider
    from tako_map.output.fingerprint import Fingerprint
    from tako_map.output.record import FinishedRow
    from tako_map.results import Result


class Job:
    """One run of the command."""

    def __init__(self, options: Namespace) -> None:
        _check(options)
        schema = read_schema(Path(options.schema)) if options.schema else None
        self._input, self._keep = Path(options.input), options.keep
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
            raise UsageError("--prompt has no placeholder: write {column} where its text goes")
        self._done_keys = KeySet()
        self._source = Source(self._input, prompt, key=options.key, done_keys=self._done_keys)
        choice = choose_model(options.model, options.option, options.config)
        settings = _settings(options, choice, AnswerReader(schema) if schema is not None else None)
        self._output = open_output(options.output)
        self._spent = 0.0
        self._unpriced = (0, 0)  # tokens of rows whose exact cost is not known
        self._open(options, take_fingerprint(options, *choice.spec(), schema, self._source.key))
        self._run = Run(self._source, replace(settings, spent=self._spent, unpriced=self._unpriced))
        self.progress = Progress(lambda: self._source.fraction, self._cost, lambda: self._run.pace.in_flight)
        self.progress.is_live = options.output != STANDARD or not is_terminal(sys.stdout)
        self.is_interrupted = False

    @property
    def hint(self) -> str:
        """How to continue, for the end of a line about the end of the run."""
        return "; the same command continues from here" if self._output.fingerprint_path is not None else ""

    async def run(self) -> None:
        """Carry it out; the output is closed in any case."""
        display = asyncio.create_task(self.progress.show())
        try:
            await self._run.deliver(self._deliver)
        except asyncio.CancelledError:
            self.is_interrupted = True
        finally:
            display.cancel()
            await asyncio.wait([display])
            self._output.close()

    def report(self) -> int:
        """Print a summary, and how to continue; returns the exit code."""
        progress, source = self.progress, self._source
        stopped = self._run.stopped
        skipped = {"done before": f"{source.skipped:,}"} if source.skipped else {}
        changed = 0 if self._keep else source.changed
        left_out = {"left out": f"{progress.refused:,}"} if progress.refused else {}
        cost = self._spent + progress.cost
        total = {"cost with earlier runs": f"${cost:,.4f}"} if self._spent else {}
        maximum = {"cost at most": f"${self._cost():,.4f}"} if self._cost() > cost else {}
        progress.summary({**skipped, **left_out, **total, **maximum})
        if self.is_interrupted:
            print_to_stderr(f"tako: stopped; done now: {_rows(progress.done)}{self.hint}")
            return INTERRUPTED
        if stopped is not None:
            print_to_stderr(f"tako: stopped: {stopped}{self.hint}")
            return FAILED
        if not (progress.done or progress.failed or progress.refused or source.skipped):
            print_to_stderr(f"tako: {self._input}: the file has no rows, so nothing was sent")
        if progress.failed:
            advice = "; --retry-failed sends them again" if self.hint else ""
            print_to_stderr(f"tako: {_rows(progress.failed)} failed, the output says why{advice}")
        if changed:
            change = f"{_rows(changed)} changed since the answer was made, the first is row {source.first_changed}"
            print_to_stderr(
                f"tako: {self._input}: {change}; --restart sends everything again, --keep accepts the old answers"
            )
        return FAILED if progress.failed or progress.refused or changed else 0

    def _open(self, options: Namespace, fingerprint: Fingerprint) -> None:
        """Read the keys that the output has, after a check that its answers are for the same prompt and model."""
        output = self._output
        try:
            path = output.fingerprint_path
            old = read_fingerprint(path) if path is not None else None
            if not output.is_empty and not options.restart:
                self._compare(old, fingerprint)
            for row in output.finished_rows(forget_failed=options.retry_failed):
                if not options.restart:
                    self._add_finished(row)
            if options.restart:
                output.clear()
            if path is not None and old != fingerprint:
                write_fingerprint(path, fingerprint)
        except BaseException:
            with suppress(OSError):
                output.abandon()
            raise
        if output.is_repaired and not options.restart:
            print_to_stderr("tako: the last line of the output was incomplete; its row is sent again")

    def _compare(self, old: Fingerprint | None, new: Fingerprint) -> None:
        """Refuse an output whose answers are for something else. Raises ConfigurationError."""
        path = self._output.path
        if old is None:
            print_to_stderr(
                f"tako: {path}: tako doesn't know which prompt and model its answers are from; it keeps them"
            )
        elif not self._keep and (changes := old.changes(new)):
            reason = f"{path}: its answers are to something else: {'; '.join(changes)}"
            raise ConfigurationError(f"{reason}; --restart sends everything again, --keep keeps them and continues")

    def _add_finished(self, row: FinishedRow) -> None:
        self._done_keys.add(row.key, row.row_digest)
        self._spent += row.cost or 0.0
        if row.cost is None:
            self._unpriced = self._unpriced[0] + row.input_tokens, self._unpriced[1] + row.output_tokens

    def _cost(self) -> float:
        """Return the cost of all runs, at most: if a price isn't known, the budget has an estimate."""
        budget = self._run.budget
        return max(self._spent + self.progress.cost, budget.spent if budget is not None else 0.0)

    def _deliver(self, result: Result) -> None:
        if result.attempts == 0 and isinstance(result.error, ConfigurationError):
            print_to_stderr(f"tako: {self._input}: {result.error}")
        if result.key is None:
            self.progress.refused += 1
            return
        record = make_record(result, self._source.digest(result.key))
        try:
            self._output.write(record)
        except (RecursionError, UnicodeError) as error:
            record = unwritable_record(record, error)
            self._output.write(record)
        self.progress.count(record)


def run(options: Namespace) -> int:
    """Carry out the command."""
    job = Job(options)
    try:
        asyncio.run(job.run())
    except KeyboardInterrupt:
        job.is_interrupted = True
    except BrokenPipeError:
        raise
    except OSError as error:
        print_to_stderr(f"tako: {error}{job.hint}")
        return FAILED
    return job.report()


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _check(options: Namespace) -> None:
    """Refuse arguments that don't go together. Raises UsageError."""
    if options.output == STANDARD:
        flag = next((flag for flag in ("restart", "keep", "retry_failed") if getattr(options, flag)), None)
        if flag is not None:
            raise UsageError(f"--{flag.replace('_', '-')} is for a file; what went to standard output isn't known")
    source, out = Path(options.input), Path(options.output)
    with suppress(OSError, ValueError):
        if source.samefile(out) or (source.suffix == ".parquet" and source.parent.samefile(out)):
            raise UsageError(f"{options.input} is input and output at once; choose another file for the results")


def _settings(options: Namespace, choice: Choice, answer_reader: AnswerReader | None) -> Settings:
    provider, provider_options = _provider(options, choice)
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
        answer_reader=answer_reader,
    )


def _provider(options: Namespace, choice: Choice) -> tuple[str | Provider, dict[str, Any]]:
    """Return a provider for this process, or the id and the options that travel to workers."""
    if options.engine == "local":
        provider = choice.provider()
        if choice.fallback:
            print_to_stderr(
                f"tako: no model was chosen, so the embedded model answers ({provider.id}); -m chooses another"
            )
        return provider, {}
    if choice.fallback:
        raise UsageError(f"--engine {options.engine} needs -m, TAKO_MODEL, or a default in tako.toml")
    id, provider_options = choice.spec()
    if choice.config is not None and choice.table is not None:
        announce(choice.config, options.config)
    else:
        announce_rules(choice.config, options.config)
    return id, provider_options
