"""Attacks by spelling: addresses that the C library reads and we do not, and URLs that two parsers read two ways."""

# ruff: noqa: RUF001 - look-alike characters are what is tried here
from __future__ import annotations

from typing import TYPE_CHECKING

from .cases import HTTP, PUBLIC, PUBLIC6, Case, hops
from .scripted import CANARY, answer, redirect

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK_SPELLINGS = (
    *("2130706433", "017700000001", "0x7f000001", "0x7F.0.0.1", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0"),
    *("0x", "127.0.0.01", "127.0.0.1..", "127.0.0.256", "127.0.0.0x1", "1.2.3.4.5", "127.0.0", "00", "0.0"),
    *("127.000.000.001", "999999999999", "0xffffffffff", "127.0.0.1.0", "٣.1.1.1", "１２７.０.０.１", "127。0。0。1"),
    *("127.0.0.1。", "①②⑦.1", "0127.0.0.1", "4294967297", "127.0.0.+1", "127.0.0.1e0", "0b1111111.0.0.1"),
    *("0o177.0.0.1", "٠x7f.1", "a.127"),
)
IPV6_SPELLINGS = (
    *("[::1%25eth0]", "[::1%eth0]", "[fe80::1%251]", "[::1", "::1", "[::1]]", "[[::1]]", "[]", "[:]", "[::1]a"),
    *("a[::1]", "[v1.::1]", "[127.0.0.1]", "[::ffff:127.1]", "[::ffff:0x7f.0.0.1]", "[::ffff:0177.0.0.1]", "[::１]"),
    *("[1::2::3]", "[12345::]", "[::1/128]", "[::ffff:127.0.0.1.]"),
)
HOSTS = {
    "percent": "127%2e0%2e0%2e1",
    "percent in a name": "a%00b.example",
    "percent at the end": "images.example%",
    "double dot": "images..example",
    "leading dot": ".images.example",
    "two trailing dots": "images.example..",
    "dot": ".",
    "long label": f"{'a' * 64}.example",
    "long name": ".".join(["a" * 60] * 5),
    "leading hyphen": "-a.example",
    "trailing hyphen": "a-.example",
    "asterisk": "*.example",
    "comma": "images.example,127.0.0.1",
    "semicolon": "images.example;127.0.0.1",
    "dollar": "images.example$127.0.0.1",
    "ampersand": "images.example&.evil.example",
    "quote": "'images.example",
    "parenthesis": "images.example(127.0.0.1)",
    "full-width slash": "images.example／.evil.example",
    "account of": "images.example℀.evil.example",
    "full-width at": "images.example＠127.0.0.1",
    "full-width percent": "images.example％2e",
    "emoji": "☃.example",
    "bad punycode": "xn--.example",
    "unassigned punycode": "xn--a.example",
    "joiner": "a\u200db.example",
    "right to left": "\u202eelpmaxe.example",
}
PORTS = (
    *("0", "65536", "99999", "-1", "+443", " 443", "4 43", "0443", "443a", "0x1bb", "", "４４３", "4_43", "443.0"),
    *("1e3", "80:443"),
)
SCHEMES = (
    *("ftp://a.example/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "data:image/png;base64,iVBORw0KGgo="),
    *("dict://127.0.0.1/", "ws://a.example/", "javascript:alert(1)", "jar:http://a.example!/"),
    *("unix:///run/docker.sock", "httpss://a.example/", "http+unix://%2Frun%2Fdocker.sock/", "//images.example/a"),
    *("images.example/a", "", ":", "/a", "netdoc:///etc/passwd", "ldap://127.0.0.1/", "url:https://images.example/"),
    *("ｈttps://images.example/",),
)
TRICKS = {
    "no slashes": ("https:images.example/a", "url"),
    "one slash": ("https:/images.example/a", "url"),
    "three slashes": ("https:///images.example/a", "host"),
    "four slashes": ("https:////images.example/a", "host"),
    "backslashes": ("https:\\\\images.example\\a", "url"),
    "slash and backslash": ("https:/\\images.example/a", "url"),
    "backslash and at": ("https://images.example\\@127.0.0.1/", "url"),
    "backslash in the path": ("https://images.example/\\127.0.0.1", "url"),
    "user": ("https://images.example@127.0.0.1/", "userinfo"),
    "user and password": ("https://a:CANARY-9d1f@images.example/", "userinfo"),
    "empty user": ("https://@images.example/", "userinfo"),
    "two users": ("https://a@b@images.example/", "userinfo"),
    "user with a host and a port": ("https://127.0.0.1:80@images.example/", "userinfo"),
    "fragment before at": ("https://images.example#@127.0.0.1/", None),
    "query before at": ("https://images.example?@127.0.0.1/", None),
    "semicolon before at": ("https://images.example;@127.0.0.1/", "userinfo"),
    "tab": ("https://images.ex\tample/", "url"),
    "newline": ("https://images.example/\r\nHost: 127.0.0.1", "url"),
    "newline in the scheme": ("ht\ntps://images.example/", "url"),
    "leading space": (" https://images.example/", "url"),
    "trailing space": ("https://images.example/ ", "url"),
    "nul": ("https://images.example\x00.evil.example/", "url"),
    "del": ("https://images.example\x7f/", "url"),
    "c1 control": ("https://images.example\x85/", "url"),
    "no-break space": ("https://images.example\xa0/", "url"),
    "line separator": ("https://images.example/\u2028", "url"),
    "byte order mark": ("\ufeffhttps://images.example/", "url"),
    "surrogate": ("https://images.example/\ud800", "url"),
    "no host": ("https://", "host"),
    "no host but a port": ("https://:443/", "host"),
    "no host but a query": ("https://?a", "host"),
    "too long": ("https://images.example/" + "a" * 8000, "url"),
}
POSITIVE = (
    *(
        "HTTPS://IMAGES.EXAMPLE/a",
        "https://images.example./a",
        "https://images.example:443/a?b#c",
        "https://images.example",
    ),
    *(
        "https://images.example:65535/",
        "https://images.example:1/",
        "https://images.example/ü?ß",
        "https://images.example?a",
    ),
    *("https://images.example/a/../b/./c", "https://images.example//a", "https://images.example/%2e%2e/%00"),
    *(
        "https://bücher.example/",
        "https://BÜCHER.example/",
        "https://xn--bcher-kva.example/",
        "https://bücher。example/",
    ),
    *("https://a_b.example/", "https://r3---sn.example/", "https://127.0.0.1.example/", "https://1.2.3.4a/"),
    *("https://images.example/a@b:c", "https://images.example/?u=http://127.0.0.1/"),
)


def _names() -> dict[str, list[str]]:
    names = (
        "images.example",
        "xn--bcher-kva.example",
        "a_b.example",
        "r3---sn.example",
        "127.0.0.1.example",
        "1.2.3.4a",
    )
    return {name: [PUBLIC] for name in (*names, "a.example", "evil.example")}


def urls() -> Iterator[Case]:
    """Yield every spelling; the resolver would know them all, the forbidden ones too."""
    for host in (*LOOPBACK_SPELLINGS, *IPV6_SPELLINGS):
        rule = "dns" if host == "127.0.0.1e0" else "host"
        yield Case(f"host: {host}", f"http://{host}/", rule, HTTP, {} if rule == "dns" else {host: [PUBLIC]})
    for name, host in HOSTS.items():
        yield Case(f"host: {name}", f"https://{host}/", "host", dns=_names())
    for port in PORTS:
        rule = "url" if " " in port else "port"
        yield Case(f"port: {port!r}", f"https://images.example:{port}/", rule, dns=_names())
    for url in SCHEMES:
        yield Case(f"scheme: {url}", url, "scheme", HTTP, _names())
    for name, (url, refused) in TRICKS.items():
        yield Case(f"url: {name}", url, refused, HTTP, _names(), dialled=() if refused else (PUBLIC,))
    yield Case("http", "http://images.example/", "http", dns=_names(), option="allow_http=True")
    yield Case("http permitted", "http://images.example/", None, HTTP, _names(), dialled=(PUBLIC,))
    yield Case("loopback with a trailing dot", "http://127.0.0.1./", "address", HTTP)
    yield Case("unspecified", "http://0.0.0.0/", "address", HTTP)
    for url in POSITIVE:
        yield Case(f"good: {url}", url, None, dns=_names(), dialled=(PUBLIC,))
    yield Case("good: IPv6", f"https://[{PUBLIC6.upper()}]:8443/", None, dialled=(PUBLIC6,))


INSIDE = {
    "name": ("https://inside.example/", "address"),
    "metadata name": ("https://metadata.example/", "metadata"),
    "mixed name": ("https://mixed.example/", "address"),
    "literal": ("https://10.0.0.5/CANARY-9d1f", "address"),
    "metadata": ("https://169.254.169.254/latest/meta-data/", "metadata"),
    "mapped": ("https://[::ffff:a9fe:a9fe]/", "metadata"),
    "loopback": ("https://127.0.0.1/", "address"),
    "decimal": ("https://2130706433/", "host"),
    "short": ("https://127.1/", "host"),
    "user": ("https://CANARY-9d1f@next.example/", "userinfo"),
    "http": ("http://next.example/", "http"),
    "scheme relative": ("//10.0.0.5/", "address"),
    "file": ("file:///etc/passwd", "scheme"),
    "gopher": ("gopher://next.example/", "scheme"),
    "one slash": ("https:/10.0.0.5/", "url"),
    "no slashes": ("https:10.0.0.5", "url"),
    "backslash": ("/\\10.0.0.5/", "redirect"),
    "backslashes": ("\\\\10.0.0.5/", "redirect"),
    "space": ("https://next.example/ a", "redirect"),
    "tab": ("https://next.ex\tample/", "redirect"),
    "empty": ("", "redirect"),
    "long": ("/" + "a" * 9000, "redirect"),
    "port": ("https://next.example:0/", "port"),
    "percent": ("https://10%2e0.0.5/", "host"),
    "not utf-8": ("/\xff", "redirect"),
    "unknown": ("https://unknown.example/", "dns"),
}


def redirects() -> Iterator[Case]:
    """Yield redirects to where they must not go, and those that have to work."""
    for status in (301, 302, 303, 307, 308):
        yield hops(f"{status} inside", [redirect("https://inside.example/", status=status)], "address", PUBLIC)
        yield hops(f"{status} outside", [redirect("//next.example/", status=status), answer()], None, PUBLIC, PUBLIC6)
    for status in (300, 304, 305, 306, 310):
        yield hops(f"{status} is no redirect", [redirect("https://next.example/", status=status)], "status", PUBLIC)
    for name, (location, rule) in INSIDE.items():
        yield hops(f"redirect: {name}", [redirect(location), answer()], rule, PUBLIC)
        second = [redirect("https://next.example/"), redirect(location), answer()]
        yield hops(f"second redirect: {name}", second, rule, PUBLIC, PUBLIC6)
    yield hops("no Location", [redirect()], "redirect", PUBLIC)
    yield hops("two Locations", [redirect("https://next.example/", "https://next.example/")], "redirect", PUBLIC)
    for count, ended in {5: None, 6: "redirects", 50: "redirects"}.items():
        answers = [*[redirect(f"/{n}") for n in range(count)], answer()]
        yield hops(f"{count} redirects", answers, ended, *([PUBLIC] * 6))
    yield hops("a circle", [redirect("#")], "redirects", *([PUBLIC] * 6))
    for location in ("/b", "b", "../b", "?b", "#b", ".", "Ã¼", "./b/../c"):
        yield hops(f"relative: {location}", [redirect(location), answer()], None, PUBLIC, PUBLIC)
    rebound = {"images.example": [[PUBLIC], ["10.0.0.5"]]}
    again = [redirect("https://images.example/b"), answer()]
    yield Case("rebinding on a redirect", "https://images.example/", "address", {}, rebound, again, (PUBLIC,))
    lists = {"allow_hosts": ("images.example",)}
    yield hops("the list is for one host", [redirect("https://inside.example/")], "address", PUBLIC, policy=lists)
    downgrade = [redirect("http://inside.example/")]
    listed = {"allow_cidrs": ("10.0.0.0/8",)}
    yield hops("the list does not permit http", downgrade, "http", PUBLIC, policy=listed, option="allow_http=True")
    yield hops("http is permitted, inside is not", downgrade, "address", PUBLIC, policy=HTTP)
    bodied = redirect("https://next.example/").replace(b"Content-Length: 11", b"Content-Length: 1000000000")
    yield hops("a redirect with a body", [bodied + CANARY, answer()], None, PUBLIC, PUBLIC6)


CASES = (*urls(), *redirects())
