"""Headers go out; keys go nowhere else."""

from __future__ import annotations

import logging
import pickle
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tako.errors import TakoError
from tako.provider import Provider
from tako.testing.script import Script
from tako.testing.server import reply, serve
from tako.testing.suite.check import check, expect, expect_equal
from tako.testing.suite.harness import Harness, error_of

if TYPE_CHECKING:
    from collections.abc import Generator


class Secrets(Harness):
    """What nobody may see."""

    @check("scripted", "http")
    async def test_headers(self) -> None:
        """Headers of the user's go with every request."""
        async with self.scripted_provider(Script(text="ok"), headers={"x-conformance": "yes"}) as (provider, server):
            await self.responses_by_way(provider, self.hello)
            for request in server.requests:
                expect_equal(request.headers.get("x-conformance"), "yes", "a header of the user's")

    @check("scripted", "http", "key")
    async def test_key_is_sent(self) -> None:
        """The key goes out in a header, never in the address, which is logged everywhere."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await self.responses_by_way(provider, self.hello)
            for request in server.requests:
                sent = any(self.secret in value for value in request.headers.values())
                expect(sent, "the key is in no header (or `provider` doesn't use self.secret)")
                expect(self.secret not in request.path + str(request.query), "the key is in the address")
                expect(self.secret.encode() not in request.body, "the key is in the body")

    @check("scripted", "key")
    async def test_key_in_repr(self) -> None:
        """No repr shows the key: not the provider's, not its parts', not its blocking face's."""
        async with self.scripted_provider(Script(text="ok")) as (provider, _):
            await self.responses_by_way(provider, self.hello)
            shown = {"repr()": repr(provider), "str()": str(provider), "vars()": repr(vars(provider))}
            shown |= {".blocking": repr(provider.blocking), ".capabilities": repr(provider.capabilities)}
            for kind, text in shown.items():
                expect(self.secret not in text, f"{kind} shows the key")

    @check("scripted", "http", "key")
    async def test_key_in_logs(self) -> None:
        """No log record shows the key, at whatever level, of calls that succeed, fail and cannot be made."""
        with _records() as records:
            for answer in (
                Script(text="ok"),
                self.vendor.refuse(401, f"wrong key {self.secret}"),
                self.vendor.pieces([b"x"]),
            ):
                async with self.scripted_provider(answer, max_retries=1) as (provider, _):
                    for call in self.calls_by_way(provider, self.hello).values():
                        try:
                            await call()
                        except TakoError:
                            continue
        for record in records:
            shown = f"{record.getMessage()} {record.args!r} {record.exc_text} {record.name}"
            expect(self.secret not in shown, f"a record of the logger {record.name!r} shows the key")

    @check("scripted", "key", "pickle")
    async def test_key_in_pickle(self) -> None:
        """A pickled provider holds no key, and comes back as the same provider."""
        async with self.scripted_provider(Script(text="ok")) as (provider, _):
            await self.responses_by_way(provider, self.hello)
            data = pickle.dumps(provider)
            again = pickle.loads(data)  # noqa: S301 - our own
        expect(self.secret.encode() not in data, "the pickle holds the key")
        expect(isinstance(again, Provider) and again.id == provider.id, f"the pickle came back as {again!r}")

    @check("scripted", "http", "key")
    async def test_key_in_errors(self) -> None:
        """No error shows the key, even where the vendor repeats it: not in text, pickle or traceback with locals."""
        echo = f"wrong key {self.secret} in Authorization"
        with serve(reply("")) as gone:
            nobody = gone.url
        for kind, answer in (
            ("a refusal that repeats it", self.vendor.refuse(401, echo)),
            ("a refusal in plain text", reply(echo, status=500)),
            ("a reply that is none", reply(echo, headers={"content-type": self.vendor.content_type})),
            ("a cut reply", self.vendor.pieces([], ending="reset")),
            ("nobody there", None),
        ):
            async with self.scripted_provider(answer or Script(text="ok"), max_retries=0) as (provider, _):
                failing_provider = provider if answer else self.provider(nobody, max_retries=0)
                for way, call in self.calls_by_way(failing_provider, self.hello).items():
                    error = await error_of(call, f"{way}: {kind}")
                    self._expect_clean(error, f"{way}: {kind}")
                await failing_provider.aclose()

    def _expect_clean(self, error: TakoError, kind: str) -> None:
        expect(self.secret not in str(error), f"{kind}: the error's text shows the key")
        expect(self.secret not in repr(vars(error)), f"{kind}: the error's fields show the key")
        expect(self.secret.encode() not in pickle.dumps(error), f"{kind}: the error's pickle holds the key")
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown = next((line for line in report.format() if self.secret in line), None)
        where = "" if shown is None else shown.strip().splitlines()[0]
        expect(shown is None, f"{kind}: the traceback with locals shows the key: {where}")


@contextmanager
def _records() -> Generator[list[logging.LogRecord], None, None]:
    """Collect every record of every logger."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keep, root = Keep(), logging.getLogger()
    level = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.removeHandler(keep)
        root.setLevel(level)
