"""``tako map``: from file to file, going on where an earlier run stopped."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, announce_rules
from tako.cli.models import Choice, decide
from tako.cli.run import FAILED, INTERRUPTED, complain
from tako.cli.screen import is_terminal
from tako.errors import ConfigurationError
from tako_map.answers import Answers
from tako_map.fingerprint import fingerprint, read_notes, write_notes
from tako_map.keyset import KeySet
from tako_map.output import STANDARD, open_output
from tako_map.progress import Progress
from tako_map.prompt import Prompt, read_schema
from tako_map.reading import Source
from tako_map.record import record, unwritable
from tako_map.running import Run
from tako_map.settings import Settings

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.provider import Provider
    from tako_map.fingerprint import Fingerprint
    from tako_map.record import Known
    from tako_map.values import Result


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
            raise UsageError("--prompt has no place for a column: write {column} where its text goes")
        self._known = KeySet()
        self._source = Source(self._input, prompt, key=options.key, known=self._known)
        choice = decide(options.model, options.option, options.config)
        settings = _settings(options, choice, Answers(schema) if schema is not None else None)
        self._output = open_output(options.output)
        self._spent = 0.0
        self._unpriced = (0, 0)  # tokens of rows whose exact cost is not known
        self._open(options, fingerprint(options, *choice.spec(), schema, self._source.key))
        self._run = Run(self._source, replace(settings, spent=self._spent, unpriced=self._unpriced))
        self.progress = Progress(lambda: self._source.fraction, self._cost, lambda: self._run.pace.in_flight)
        self.progress.moving = options.output != STANDARD or not is_terminal(sys.stdout)
        self.interrupted = False

    @property
    def again(self) -> str:
        """How to go on, for a line that says that the run has ended."""
        return "; the same command goes on from here" if self._output.notes is not None else ""

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
        changed = 0 if self._keep else source.changed
        left_out = {"left out": f"{progress.refused:,}"} if progress.refused else {}
        known = self._spent + progress.cost
        total = {"cost with earlier runs": f"${known:,.4f}"} if self._spent else {}
        most = {"cost at most": f"${self._cost():,.4f}"} if self._cost() > known else {}
        progress.summary({**before, **left_out, **total, **most})
        if self.interrupted:
            complain(f"tako: stopped; done now: {_rows(progress.done)}{self.again}")
            return INTERRUPTED
        if stopped is not None:
            complain(f"tako: stopped: {stopped}{self.again}")
            return FAILED
        if not (progress.done or progress.failed or progress.refused or source.skipped):
            complain(f"tako: {self._input}: the file has no rows, so nothing was sent")
        if progress.failed:
            way_out = "; --retry-failed asks them again" if self.again else ""
            complain(f"tako: {_rows(progress.failed)} failed, the output says why{way_out}")
        if changed:
            what = f"{_rows(changed)} changed since the answer was made, the first is row {source.first_changed}"
            complain(f"tako: {self._input}: {what}; --restart asks everything again, --keep accepts the old answers")
        return FAILED if progress.failed or progress.refused or changed else 0

    def _open(self, options: Namespace, now: Fingerprint) -> None:
        """Learn which keys the output has, once it is clear that its answers are to the same question."""
        output = self._output
        try:
            before = read_notes(output.notes) if output.notes is not None else None
            if not output.empty and not options.restart:
                self._compare(before, now)
            for one in output.known(forget_failed=options.retry_failed):
                if not options.restart:
                    self._learn(one)
            if options.restart:
                output.clear()
            if output.notes is not None and before != now:
                write_notes(output.notes, now)
        except BaseException:
            with suppress(OSError):
                output.abandon()
            raise
        if output.repaired and not options.restart:
            complain("tako: the last line of the output was torn; its row is done again")

    def _compare(self, before: Fingerprint | None, now: Fingerprint) -> None:
        """Refuse an output whose answers are to something else. Raises ConfigurationError."""
        where = self._output.path
        if before is None:
            complain(f"tako: {where}: tako doesn't know which prompt and model its answers are from; it keeps them")
        elif not self._keep and (changes := before.changes(now)):
            what = f"{where}: its answers are to something else: {'; '.join(changes)}"
            raise ConfigurationError(f"{what}; --restart asks everything again, --keep keeps them and goes on")

    def _learn(self, one: Known) -> None:
        self._known.add(one.key, one.row_digest)
        self._spent += one.cost or 0.0
        if one.cost is None:
            self._unpriced = self._unpriced[0] + one.input_tokens, self._unpriced[1] + one.output_tokens

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
        made = record(result, self._source.digest(result.key))
        try:
            self._output.write(made)
        except (RecursionError, UnicodeError) as error:
            made = unwritable(made, error)
            self._output.write(made)
        self.progress.count(made)


def run(options: Namespace) -> int:
    """Carry out the command."""
    job = Job(options)
    try:
        asyncio.run(job.run())
    except KeyboardInterrupt:
        job.interrupted = True
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(f"tako: {error}{job.again}")
        return FAILED
    return job.report()


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _check(options: Namespace) -> None:
    """Refuse what can't go together. Raises UsageError."""
    if options.output == STANDARD:
        flag = next((flag for flag in ("restart", "keep", "retry_failed") if getattr(options, flag)), None)
        if flag is not None:
            raise UsageError(f"--{flag.replace('_', '-')} is for a file; what went to standard output isn't known")
    source, out = Path(options.input), Path(options.output)
    with suppress(OSError, ValueError):
        if source.samefile(out) or (source.suffix == ".parquet" and source.parent.samefile(out)):
            raise UsageError(f"{options.input} is input and output at once; choose another file for the results")


def _settings(options: Namespace, choice: Choice, answers: Answers | None) -> Settings:
    provider, provider_options = _chosen(options, choice)
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


def _chosen(options: Namespace, choice: Choice) -> tuple[str | Provider, dict[str, Any]]:
    """Return a provider for this process, or the id and the options that travel to workers."""
    if options.engine == "local":
        provider = choice.provider()
        if choice.fallback:
            complain(f"tako: no model was chosen, so a small one in this process answers ({provider.id}); see -m")
        return provider, {}
    if choice.fallback:
        raise UsageError(f"--engine {options.engine} needs -m, TAKO_MODEL, or a default in tako.toml")
    id, provider_options = choice.spec()
    if choice.config is not None and choice.table is not None:
        announce(choice.config, options.config)
        return id, {"label": choice.wanted, **provider_options}
    announce_rules(choice.config, options.config)
    return id, provider_options
