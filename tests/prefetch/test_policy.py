"""The policy as a value: what it takes, what it refuses, and that it stays data."""

from __future__ import annotations

import pickle
import subprocess
import sys
from ipaddress import IPv4Network
from typing import Any

import anyio
import msgspec
import pytest

import tako
from tako.errors import ConfigurationError
from tako.kit.prefetch import fetch_image, fetch_images
from tako.url_prefetch import UrlPrefetch

WRONG: list[dict[str, Any]] = [
    *(
        {"allow_hosts": (entry,)}
        for entry in ("*", "*.", "", " ", ".", "*.*.a", "a*", "*a.example", "a.*.b", "*.10.0.0.1")
    ),
    *(
        {"allow_hosts": (entry,)}
        for entry in ("2130706433", "127.1", "0x7f.1", "*.1", "a:80", "http://a.example", "a/b")
    ),
    *(
        {"allow_hosts": (entry,)}
        for entry in ("10.0.0.0/8", "a@b", "a%2e", "fe80::1%eth0", "[::1", "*..a", "☃.example", 1, None)
    ),
    *(
        {"allow_cidrs": (entry,)}
        for entry in ("*", "", "*.", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10/8")
    ),
    *(
        {"allow_cidrs": (entry,)}
        for entry in ("010.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "fe80::%1/64")
    ),
    *(
        {"allow_cidrs": (entry,)}
        for entry in ("::ffff:10.0.0.0/104", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b::a00:0/104")
    ),
    *(
        {"allow_cidrs": (entry,)}
        for entry in ("2002:a00::/24", "2002::/16", "2001::/32", "64:ff9b:1::/48", "::/96", "::/128")
    ),
    *(
        {"allow_cidrs": (entry,)}
        for entry in ("::ffff:0:0:0/96", "fd00::1/8", "localhost", "a.example", 10, b"10.0.0.0/8", None)
    ),
    *({option: value} for option in ("allow_hosts", "allow_cidrs") for value in ("10.0.0.0", None, 5, {"a": 1}, b"a")),
    *({"timeout": value} for value in (0, -1, float("nan"), float("inf"), True, "10", None)),
    *({"max_bytes": value} for value in (0, -1, 1.5, True, "1", None)),
    *({option: value} for option in ("allow_http", "allow_private_ips") for value in (1, "yes", None)),
]


@pytest.mark.parametrize("options", WRONG, ids=str)
def test_a_mistake_fails_at_construction(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        UrlPrefetch(**options)


def test_the_defaults_permit_the_public_https_web_and_nothing_else() -> None:
    policy = UrlPrefetch()
    assert (policy.timeout, policy.max_bytes) == (10.0, 10 * 1024 * 1024)
    assert (policy.allow_http, policy.allow_private_ips) == (False, False)
    assert (policy.allow_hosts, policy.allow_cidrs) == ((), ())
    assert tako.UrlPrefetch is UrlPrefetch


def test_entries_are_kept_in_their_canonical_spelling() -> None:
    policy = UrlPrefetch(
        allow_hosts=["Images.Example.", "*.CORP.example", "[FD00:0::1]", "::1", "10.0.0.7", "bücher.example"],  # type: ignore[arg-type]
        allow_cidrs={"10.0.0.0/8"} | {IPv4Network("10.0.0.0/8")},  # type: ignore[arg-type]
    )
    hosts = ("images.example", "*.corp.example", "fd00::1", "::1", "10.0.0.7", "xn--bcher-kva.example")
    assert policy.allow_hosts == hosts
    assert set(policy.allow_cidrs) == {"10.0.0.0/8"}
    assert UrlPrefetch(allow_cidrs=("10.0.0.1", "::1", "::/0")).allow_cidrs == ("10.0.0.1/32", "::1/128", "::/0")


def test_it_is_a_value() -> None:
    policy = UrlPrefetch(timeout=3, allow_hosts=("a.example",), allow_cidrs=("10.0.0.0/8",))
    assert msgspec.json.decode(msgspec.json.encode(policy), type=UrlPrefetch) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert {policy: 1}[UrlPrefetch(timeout=3.0, allow_hosts=("A.example",), allow_cidrs=("10.0.0.0/8",))] == 1
    with pytest.raises(AttributeError):
        policy.timeout = 5  # type: ignore[misc]


def test_the_provider_s_option_turns_it_on_and_nothing_else_does() -> None:
    policy = UrlPrefetch(allow_private_ips=True)
    assert UrlPrefetch.of(True) == UrlPrefetch()
    assert UrlPrefetch.of(False) is None
    assert UrlPrefetch.of(policy) is policy
    for wrong in (1, 0, "true", {"timeout": 1}):
        with pytest.raises(ConfigurationError):
            UrlPrefetch.of(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [True, None, {}, "https://a.example/"])
def test_a_fetch_has_a_policy(wrong: Any) -> None:
    for call in (lambda: fetch_image("https://a.example/", wrong), lambda: fetch_images([], wrong)):
        with pytest.raises(ConfigurationError):
            anyio.run(call)


def test_the_policy_costs_no_http_library() -> None:
    code = "import sys, tako; tako.UrlPrefetch(); print({'httpx', 'httpcore', 'idna', 'ssl'} & set(sys.modules))"
    path = [path for path in sys.path if path]
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"], capture_output=True, check=True
    )
    assert run.stdout.strip() == b"set()"
