"""Break the guard one rule at a time, and see whether the attack list catches it.

Run it alone with ``python -m tests.prefetch.mutations``; test_mutations.py runs it with the tests. A mutation replaces
one piece of the guard's source; the broken guard is loaded beside the real one, as a package of its own.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tako.kit.prefetch
import tako.url_prefetch
from tako.kit.tls import tls_context

from . import attack_addresses, attack_responses, attack_urls
from .cases import failing
from .clock import run

if TYPE_CHECKING:
    from collections.abc import Generator

    from .cases import Case


class Mutation(NamedTuple):
    """``old``, which stands in the module once, becomes ``new``."""

    name: str
    module: str
    old: str
    new: str


MUTATIONS = (
    # hosts, in url_prefetch.py
    Mutation("numbers are names", "url_prefetch", "if _IPV4_NUMBER.fullmatch(labels[-1]):", "if False:"),
    Mutation("hexadecimal numbers are names", "url_prefetch", "[0-9]+|0[xX][0-9a-fA-F]*", "[0-9]+"),
    Mutation(
        "any character in a label", "url_prefetch", "all(_LABEL.fullmatch(label) for label in labels)", "all(labels)"
    ),
    Mutation(
        "the codec of IDNA 2003",
        "url_prefetch",
        'idna.encode(name, uts46=True, std3_rules=True).decode("ascii")',
        'name.encode("idna").decode("ascii")',
    ),
    Mutation("A-labels unchecked", "url_prefetch", 'if label.startswith("xn--"):', "if False:"),
    Mutation("two trailing dots", "url_prefetch", 'text.removesuffix(".")', 'text.rstrip(".")'),
    Mutation("no trailing dot", "url_prefetch", 'text.removesuffix(".")', "text"),
    # parsing, in url.py
    Mutation("any scheme", "url", "if scheme[1].lower() not in _DEFAULT_PORTS:", "if False:"),
    Mutation("scheme as it is spelled", "url", "return Url(scheme[1].lower(), host", "return Url(scheme[1], host"),
    Mutation(
        "userinfo is skipped", "url", 'if "@" in authority:', 'authority = authority.rpartition("@")[2]\n    if False:'
    ),
    Mutation(
        "percent-decoding",
        "url",
        'if "%" in authority:',
        "from urllib.parse import unquote\n    authority = unquote(authority)\n    if False:",
    ),
    Mutation(
        "backslashes and controls",
        "url",
        'if _FORBIDDEN.search(text):\n        raise Refusal("url"',
        'if False:\n        raise Refusal("url"',
    ),
    Mutation("controls of the second kind", "url", r"\x7f-\xa0", r"\x7f"),
    Mutation("a URL of any length", "url", "if len(text) > MAX_URL:", "if False:"),
    Mutation("port 0 and leading zeros", "url", "[1-9][0-9]{0,4}", "[0-9]{1,5}"),
    Mutation("ports over 65535", "url", "_MAX_PORT = 65535", "_MAX_PORT = 99999"),
    Mutation("digits of any script", "url", 're.compile(r"[1-9][0-9]{0,4}")', 're.compile(r"\\d{1,5}")'),
    Mutation("a redirect of any characters", "url", "or _FORBIDDEN.search(text):", "or False:"),
    Mutation("a scheme-relative redirect is a path", "url", 'if text.startswith("//"):', "if False:"),
    # judging, in addresses.py
    *(
        Mutation(f"without {block}", "addresses", f'        "{block}",', "")
        for block in (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
        )
    ),
    *(
        Mutation(f"without {block}", "addresses", f'        "{block}",', "")
        for block in ("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "2001::/23")
    ),
    *(
        Mutation(f"without {block}", "addresses", f'        "{block}",', "")
        for block in ("2001:db8::/32", "2002::/16", "3fff::/20")
    ),
    Mutation("all of IPv6 is global", "addresses", '"2000::/3"', '"::/0"'),
    Mutation(
        "a narrower 172.16/12",
        "addresses",
        '        "172.16.0.0/12",\n        "192',
        '        "172.16.0.0/13",\n        "192',
    ),
    Mutation(
        "a narrower 100.64/10",
        "addresses",
        '        "100.64.0.0/10",\n        "127',
        '        "100.64.0.0/11",\n        "127',
    ),
    Mutation("addresses are not judged", "network", "check_address(address, self._host, self._policy)", "pass"),
    Mutation("mapped addresses as they stand", "addresses", "EMBEDDING[:4]", "EMBEDDING[2:4]"),
    Mutation("NAT64 as it stands", "addresses", "EMBEDDING[:4]", "EMBEDDING[:3]"),
    Mutation("only the wrapping of ISATAP", "addresses", "return address, inside", "return (address,)"),
    Mutation("only the inside of ISATAP", "addresses", "return address, inside", "return (inside,)"),
    Mutation("one ISATAP of two", "addresses", "(0x0000_5EFE, 0x0200_5EFE)", "(0x0000_5EFE,)"),
    Mutation("no metadata rule", "addresses", "if form not in _METADATA:", "if True:"),
    Mutation("no Azure in the metadata", "addresses", '        "168.63.129.16",', ""),
    Mutation("no Alibaba in the metadata", "addresses", '        "100.100.100.200",', ""),
    Mutation("no IPv6 in the metadata", "addresses", '        "fd00:ec2::254",', ""),
    Mutation("metadata in no disguise", "addresses", "for form in _disguised(address))", "for form in (address,))"),
    Mutation("metadata in Teredo", "addresses", "yield IPv4Address(~number & 0xFFFF_FFFF)", "pass"),
    Mutation("metadata in 6to4", "addresses", "yield IPv4Address(number >> 80 & 0xFFFF_FFFF)", "pass"),
    Mutation("metadata in NAT64 of a network", "addresses", "(32, 40, 48, 56, 64)", "()"),
    Mutation("metadata under 0.0.0.0/0", "addresses", "network.prefixlen >= _METADATA_PREFIX", "True"),
    Mutation("metadata by any listed name", "addresses", "if form == host and str(form) in", "if str(form) in"),
    Mutation(
        "metadata never", "addresses", "return not any(form in network and", "return True or any(form in network and"
    ),
    Mutation("the suffix matches its apex", "addresses", "host.endswith(entry[1:])", 'f".{host}".endswith(entry[1:])'),
    Mutation("the suffix matches in a label", "addresses", "host.endswith(entry[1:])", "host.endswith(entry[2:])"),
    Mutation("names match by their end", "addresses", "else host == entry", "else host.endswith(entry)"),
    Mutation("a zone is let through", "addresses", "address.scope_id is not None:", "False:"),
    Mutation("networks open 6to4", "addresses", "any(form in p for p in EMBEDDING)", "False"),
    Mutation(
        "link-local is private",
        "addresses",
        '        "fc00::/7",',
        '        "fc00::/7", "169.254.0.0/16", "fe80::/10",',
    ),
    Mutation("everything is private", "addresses", "if not any(form in network for network in _PRIVATE):", "if False:"),
    Mutation("private is always allowed", "addresses", "if not policy.allow_private_ips:", "if False:"),
    # dialling, in network.py
    Mutation("one good answer is enough", "network", "for address in addresses:\n", "for address in addresses[:1]:\n"),
    Mutation("judge the last answer", "network", "for address in addresses:\n", "for address in addresses[-1:]:\n"),
    Mutation(
        "resolve again to connect",
        "network",
        "tried = addresses[:MAX_TRIED]",
        "tried = await self._addresses(port)",
    ),
    Mutation("no fail-over", "network", "MAX_TRIED = 8", "MAX_TRIED = 1"),
    Mutation("dial every address", "network", "MAX_TRIED = 8", "MAX_TRIED = 800"),
    Mutation("one dead address takes all the time", "network", "if remaining else None", "if False else None"),
    Mutation(
        "answers that are no address are skipped",
        "network",
        "for answer in answers]",
        "for answer in answers if answer != '127.1']",
    ),
    Mutation("connections stay open", "network", "await stream.aclose()", "pass"),
    # hops, in fetch.py
    Mutation("http is permitted", "fetch", 'if url.scheme != "https" and not policy.allow_http:', "if False:"),
    Mutation("redirects without end", "fetch", "if trail.hops == MAX_REDIRECTS:", "if False:"),
    Mutation("six redirects", "fetch", "MAX_REDIRECTS = 5", "MAX_REDIRECTS = 6"),
    Mutation("four redirects", "fetch", "MAX_REDIRECTS = 5", "MAX_REDIRECTS = 4"),
    Mutation(
        "hops after the first are trusted",
        "fetch",
        "answer = await _request(url, policy, types, network)",
        "answer = await _request(url, UrlPrefetch(allow_private_ips=True) if trail.hops else policy, types, network)",
    ),
    Mutation("no deadline", "fetch", "anyio.fail_after(policy.timeout)", "anyio.fail_after(None)"),
    Mutation(
        "TLS asks the address",
        "fetch",
        "httpcore.URL(scheme=url.scheme, host=str(url.host)",
        'httpcore.URL(scheme=url.scheme, host="x"',
    ),
    Mutation("codings are welcome", "fetch", '("Accept-Encoding", "identity")', '("User-Agent", "x")'),
    Mutation(
        "errors carry their cause",
        "fetch",
        "raise outcome.as_error(trail.requested_host, trail.hops, kind)",
        "raise outcome.as_error(trail.requested_host, trail.hops, kind) from outcome",
    ),
    Mutation(
        "errors say what the library said",
        "fetch",
        'Refusal("protocol", "the answer isn\'t valid HTTP")',
        'Refusal("protocol", str(error))',
    ),
    # answers, in answer.py
    Mutation("any status", "response", "if response.status != 200:", "if False:"),
    Mutation("300 is a redirect", "response", "frozenset({301,", "frozenset({300, 301,"),
    Mutation("the first of many Locations", "response", "if len(locations) != 1:", "if not locations:"),
    Mutation("content codings", "response", "if any(value.lower() !=", "if False and any(value.lower() !="),
    Mutation(
        "the last content coding",
        "response",
        'in _values(response, b"content-encoding"))',
        'in _values(response, b"content-encoding")[:1])',
    ),
    Mutation("length and chunks", "response", "if lengths and codings:", "if False:"),
    Mutation(
        "declared length over the cap",
        "response",
        "if lengths and int(lengths[0]) > limit:",
        "if lengths and int(lengths[0]) < 0:",
    ),
    Mutation("bytes are not counted", "response", "if self._size > self._limit:", "if False:"),
    Mutation("one byte more", "response", "if self._size > self._limit:", "if self._size > self._limit + 1:"),
    Mutation("one byte less", "response", "if self._size > self._limit:", "if self._size >= self._limit:"),
    Mutation("any type", "response", "if declared not in types:", 'if not declared.startswith("image/"):'),
    Mutation("the first of many types", "response", "if len(values) == 1 else None", "if values else None"),
    Mutation(
        "types by their beginning", "response", "_MEDIA_TYPE.fullmatch(values[0])", "_MEDIA_TYPE.match(values[0])"
    ),
    Mutation("no magic bytes", "response", "if matches and self._size:", "if True:"),
    Mutation(
        "any image for any other",
        "response",
        "matches_content(self._declared, self._head) if detected",
        "True if detected",
    ),
)

_FAMILIES = {"addresses": attack_addresses.CASES, "response": attack_responses.CASES, "url": attack_urls.CASES}


def cases_for(mutation: Mutation) -> list[Case]:
    """Return every case, those first that are likely to catch the mutation, so that most are caught soon."""
    families = sorted(_FAMILIES, key=lambda family: not mutation.module.startswith(family))
    cases = [case for stride in range(8) for family in families for case in _FAMILIES[family][stride::8]]
    keywords = [keyword.strip("s") for keyword in mutation.name.split() if len(keyword) > 3]
    return sorted(cases, key=lambda case: not any(keyword in case.name for keyword in keywords))


@contextmanager
def broken(mutation: Mutation, folder: Path) -> Generator[tuple[Any, Any]]:
    """Load a copy of the guard with one mutation; yield its fetch_image and its UrlPrefetch."""
    package = "broken_guard"
    target = folder / package
    shutil.copytree(
        Path(tako.kit.prefetch.__file__).parent, target / "prefetch", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(tako.url_prefetch.__file__, target / "url_prefetch.py")
    path = target / ("" if mutation.module == "url_prefetch" else "prefetch") / f"{mutation.module}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(mutation.old) == 1, (
        f"{mutation.name}: {mutation.old!r} occurs {source.count(mutation.old)} times"
    )
    path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
    for each in target.rglob("*.py"):
        text = each.read_text(encoding="utf-8").replace("tako.kit.prefetch", f"{package}.prefetch")
        each.write_text(text.replace("tako.url_prefetch", f"{package}.url_prefetch"), encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        guard = import_module(f"{package}.prefetch")
        vars(import_module(f"{package}.prefetch.fetch"))["tls_context"] = tls_context  # 25 ms, and not what is broken
        yield guard.fetch_image, import_module(f"{package}.url_prefetch").UrlPrefetch
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
        shutil.rmtree(target)


def catch(mutation: Mutation) -> str | None:
    """Return the case that catches a mutation, with what it says, or None."""

    async def find(fetch: Any, policy: Any) -> str | None:
        for case in cases_for(mutation):
            wrong = await failing(case, fetch, policy)
            if wrong:
                return f"{case.name}: {wrong}"
        return None

    with tempfile.TemporaryDirectory() as folder, broken(mutation, Path(folder)) as (fetch, policy):
        return run(find, fetch, policy)


def main() -> int:
    """Print each mutation and the case that caught it; return how many were not."""
    logging.disable()
    missed = 0
    for mutation in MUTATIONS:
        case = catch(mutation)
        missed += case is None
        print(f"{'caught' if case else 'MISSED'}  {mutation.module}: {mutation.name}  {(case or '')[:110]}")  # noqa: T201
    print(f"{len(MUTATIONS)} mutations, {missed} missed, {len(cases_for(MUTATIONS[0]))} cases")  # noqa: T201
    return missed


if __name__ == "__main__":
    sys.exit(main())
