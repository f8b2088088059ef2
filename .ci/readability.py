"""Check that pages are in plain English: sentences of at most 30 words, and none of the phrases below.

``python .ci/readability.py`` checks README, CHANGELOG and all pages, and exits with 1 if something is found.
``--table`` prints a line for each page instead: its words, its sentences, the long ones, and the phrases.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

LONGEST = 30
"""Words that a sentence may have."""
ROOT = Path(__file__).parent.parent

INSTEAD: dict[str, str] = {
    r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|\w+er\b)": "isn't a …, or aren't …",
    r"\b(?:whoever|whatever|whichever|whomever)\b": "the plain noun",
    r"\bof (?:which|whom)\b|^What of\b": "two sentences",
    r"\bcannot\b|\bcan not\b": "can't",
    r"\b(?:do|does|did|is|are|was|were|has|have|had|would|could|should|will) not\b": "the contraction",
    r"(?<!as )(?<!of )\bit is\b(?! (?:a|an|the) )": "it's",
    r"\bare absent\b|\bis absent\b": "isn't there, or isn't called",
    r"\band said\b|\bis said\b|\bsays of\b|\bsaid of\b": "the notice, or what the text says about it",
    r"\b(?:is|are) asked for\b|\bnothing to ask\b": "requested; the prompt is empty",
    r"\b(?:bears?|hitherto|thereof|wherein|whereby|whence|upon|heretofore)\b": "the common word",
    r"\ball the same\b|\bas it were\b|\bto and fro\b|\bat a sitting\b": "leave it out",
    r"\bget(?:s)? tired\b|\bnever shows?\b(?= \w)": "what the program does",
    r"\b(?:but|save) for\b": "except",
    r"\bfrom (?!now)\S+ on\b(?=[,.;:)])": "since, or … and later",
    r"\bo(?:ne)?'s own\b": "your own",
    r"\bneither \w+ nor \w+ is\b": "no … is",
    r"\b(?:utilize|utilise|leverage|in order to|prior to|via)\b": "use, to, before, with",
    r"\b(?:simply|obviously|of course|easily|just works|seamless(?:ly)?)\b": "leave it out",
}
"""Phrases that our pages avoid, and what they have instead."""
PATTERNS = {re.compile(pattern, re.IGNORECASE): instead for pattern, instead in INSTEAD.items()}

HIDDEN = re.compile(r"<!--.*?-->|^(```|~~~).*?^\1\s*$|^---\n.*?^---\n", re.MULTILINE | re.DOTALL)
"""Comments, code and front matter."""
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*]*\s+(?=[\"'(\[*]*(?:[A-Z0-9@]|tako\b))")
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs)\.$")


@dataclass
class Report:
    """What one page has."""

    words: int = 0
    sentences: int = 0
    long: list[tuple[int, int, str]] = field(default_factory=list)
    phrases: list[tuple[int, str, str]] = field(default_factory=list)


def pages() -> list[Path]:
    """List what is checked: the pages of the site, and what stands beside them for readers of the repository."""
    return sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tako/*.md"), *ROOT.glob("plugins/*/README.md")]
    )


def blocks(text: str) -> list[tuple[int, str]]:
    """Return the paragraphs, list items, headings and cells of a page, each with its line."""
    text = HIDDEN.sub(lambda match: "\n" * match[0].count("\n"), text)
    found: list[tuple[int, str]] = []
    open_block = False
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", stripped)]
            found += [(number, cell) for cell in cells if cell.strip("-: ")]
            open_block = False
        elif not stripped or stripped.startswith((":::", "!!!", "???", "===", "--8<--")):
            open_block = False
        elif open_block and not re.match(r"([-*+]|\d+\.|#+|>)\s", stripped):
            found[-1] = (found[-1][0], f"{found[-1][1]} {stripped}")
        else:
            found.append((number, re.sub(r"^([-*+]|\d+\.|#+|>)\s+", "", stripped)))
            open_block = not stripped.startswith("#")
    return found


def plain(text: str) -> str:
    """Return a block without its markup: a code span is one word, a link its text."""
    text = re.sub(r"(`+)(?:.+?)\1", "@code", text)
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
    return re.sub(r"\*\*|__|(?<!\w)\*|\*(?!\w)|<[^>]+>|\{[^}]*\}", "", text)


def sentences(text: str) -> list[str]:
    """Split a block into sentences."""
    parts: list[str] = []
    for part in SENTENCE_END.split(text):
        if parts and ABBREVIATION.search(parts[-1]):
            parts[-1] += f" {part}"
        else:
            parts.append(part)
    return parts


def report_on(text: str) -> Report:
    """Look at one page."""
    report = Report()
    for line, block in blocks(text):
        shown = plain(block)
        for sentence in sentences(shown):
            count = len(re.findall(r"[\w@][\w@'./%-]*", sentence))
            report.words += count
            report.sentences += 1
            if count > LONGEST:
                report.long.append((line, count, sentence))
        for pattern, instead in PATTERNS.items():
            report.phrases += [(line, match[0], instead) for match in pattern.finditer(shown)]
    return report


def main() -> int:
    """Check all pages, or those that are named."""
    arguments = sys.argv[1:]
    table = "--table" in arguments
    named = [Path(argument) for argument in arguments if argument != "--table"]
    bad = 0
    for page in named or pages():
        report = report_on(page.read_text(encoding="utf-8"))
        name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
        bad += len(report.long) + len(report.phrases)
        if table:
            print(f"{name}\t{report.words}\t{report.sentences}\t{len(report.long)}\t{len(report.phrases)}")
            continue
        for line, count, sentence in report.long:
            print(f"{name}:{line}: {count} words: {sentence}")
        for line, phrase, instead in report.phrases:
            print(f"{name}:{line}: {phrase!r}: write {instead}")
    if not table:
        print(f"{bad} places" if bad else "plain")
    return bool(bad) and not table


if __name__ == "__main__":
    sys.exit(main())
