"""Check that pages are in plain English: sentences of at most 30 words, and none of the phrases below.

``python .ci/readability.py`` checks README, CHANGELOG and all pages, and exits with 1 if it finds something.
``--table`` prints a line for each page instead: its words, its sentences, the long ones, and the phrases.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

MAX_WORDS = 30
"""The most words in a sentence."""
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
    """What was found in one page."""

    word_count: int = 0
    sentence_count: int = 0
    long_sentences: list[tuple[int, int, str]] = field(default_factory=list)
    phrases: list[tuple[int, str, str]] = field(default_factory=list)


def pages() -> list[Path]:
    """List the pages to check: those of the site, and those that readers of the repository see."""
    return sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tako/*.md"), *ROOT.glob("plugins/*/README.md")]
    )


def blocks(text: str) -> list[tuple[int, str]]:
    """Return the paragraphs, list items, headings and cells of a page, each with its line."""
    text = HIDDEN.sub(lambda match: "\n" * match[0].count("\n"), text)
    texts: list[tuple[int, str]] = []
    is_open = False
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", stripped)]
            texts += [(number, cell) for cell in cells if cell.strip("-: ")]
            is_open = False
        elif not stripped or stripped.startswith((":::", "!!!", "???", "===", "--8<--")):
            is_open = False
        elif is_open and not re.match(r"([-*+]|\d+\.|#+|>)\s", stripped):
            texts[-1] = (texts[-1][0], f"{texts[-1][1]} {stripped}")
        else:
            texts.append((number, re.sub(r"^([-*+]|\d+\.|#+|>)\s+", "", stripped)))
            is_open = not stripped.startswith("#")
    return texts


def without_markup(text: str) -> str:
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
    """Check one page."""
    report = Report()
    for line, block in blocks(text):
        plain = without_markup(block)
        for sentence in sentences(plain):
            count = len(re.findall(r"[\w@][\w@'./%-]*", sentence))
            report.word_count += count
            report.sentence_count += 1
            if count > MAX_WORDS:
                report.long_sentences.append((line, count, sentence))
        for pattern, instead in PATTERNS.items():
            report.phrases += [(line, match[0], instead) for match in pattern.finditer(plain)]
    return report


def main() -> int:
    """Check all pages, or those that are named."""
    arguments = sys.argv[1:]
    as_table = "--table" in arguments
    named_pages = [Path(argument) for argument in arguments if argument != "--table"]
    problems = 0
    for page in named_pages or pages():
        report = report_on(page.read_text(encoding="utf-8"))
        name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
        problems += len(report.long_sentences) + len(report.phrases)
        if as_table:
            print(
                f"{name}\t{report.word_count}\t{report.sentence_count}\t{len(report.long_sentences)}\t{len(report.phrases)}"
            )
            continue
        for line, count, sentence in report.long_sentences:
            print(f"{name}:{line}: {count} words: {sentence}")
        for line, phrase, instead in report.phrases:
            print(f"{name}:{line}: {phrase!r}: write {instead}")
    if not as_table:
        print(f"{problems} problems" if problems else "plain")
    return bool(problems) and not as_table


if __name__ == "__main__":
    sys.exit(main())
