"""The arguments of ``tako map``; what carries it out is imported when it runs."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING

from tako.cli.arguments import number, whole_number

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  tako map -m openai:gpt-5-mini in.csv -o out.jsonl --prompt "Name the topic in a word: {text}"
  tako map -m openai:gpt-5-mini in.parquet -o labels/ --prompt "…{text}…" --schema label.json --max-cost 20
  tako map -m openai:gpt-5-mini in.jsonl -o out/ --prompt "…" --engine dask --address tcp://host:8786 --rpm 10000

The same command goes on where it was stopped; every key is in the output once. A command that asks something else is
refused until you say --restart (ask everything again) or --keep (keep the answers that are there).
"""
OPTION = re.compile(r"([A-Za-z_][\w-]*)=")
"""What -o is in other commands."""


def command(parser: ArgumentParser) -> None:
    """Add the arguments to the parser of the command."""
    parser.description = "Ask one prompt of many rows, on this machine or on a cluster."
    parser.epilog = EXAMPLES
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("input", metavar="IN", help="rows: a .jsonl, .csv, .tsv or .parquet file")
    where_to = "results: a .jsonl file, a folder of Parquet files, or - for standard output"
    add("-o", "--output", metavar="OUT", required=True, type=_output, help=where_to)
    add("-m", "--model", metavar="ID", help='as in "openai:gpt-5", or a name of tako.toml; else as chat')
    config = "the configuration; else TAKO_CONFIG, ./tako.toml if you trust it, or your own"
    add("-c", "--config", metavar="FILE", help=config)
    add("--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the provider; repeatable")
    question = parser.add_argument_group("what is asked")
    question.add_argument("--prompt", metavar="TEMPLATE", help="the question, with {column} where a row's cell goes")
    question.add_argument("--system", metavar="TEXT", help="an instruction that goes first")
    question.add_argument("--schema", metavar="FILE", help="a JSON Schema that the answers have to match")
    question.add_argument("--image-column", metavar="COLUMN", help="a column of images: addresses, files or bytes")
    question.add_argument("--key", metavar="COLUMN", help='names a row; else the column "key" or "id", else its number')
    question.add_argument("--max-tokens", type=whole_number, metavar="N", help="the longest answer")
    question.add_argument("--temperature", type=number, metavar="X")
    pace = parser.add_argument_group("how fast, and for how much")
    pace.add_argument("--rpm", type=number, metavar="N", help="requests a minute, of all workers together")
    pace.add_argument("--tpm", type=number, metavar="N", help="tokens a minute, of all workers together")
    shared = "runs on one cluster with the same one share --rpm and --tpm (the id of the model)"
    pace.add_argument("--budget", metavar="NAME", help=shared)
    pace.add_argument("--max-cost", type=number, metavar="USD", help="stop before this is exceeded; OUT's cost counts")
    pace.add_argument("--concurrency", type=whole_number, default=64, metavar="N", help="the most calls at once (64)")
    pace.add_argument("--attempts", type=whole_number, default=8, metavar="N", help="the most calls for one row (8)")
    there = parser.add_argument_group("what is in OUT already")
    there.add_argument("--retry-failed", action="store_true", help="ask the rows again that failed")
    either = there.add_mutually_exclusive_group()
    either.add_argument("--restart", action="store_true", help="take all answers out, and ask every row again")
    either.add_argument("--keep", action="store_true", help="keep the answers, although they are to something else")
    where = parser.add_argument_group("where")
    where.add_argument("--engine", choices=["local", "dask", "ray"], default="local", help="who calls (local)")
    where.add_argument("--address", metavar="ADDRESS", help="a cluster that is there; else one is started here")
    where.add_argument("--workers", type=whole_number, metavar="N", help="processes of a cluster that is started here")


def _output(text: str) -> str:
    """Refuse an option, whose value may be a secret, before it becomes a folder of that name."""
    if not text:
        raise ArgumentTypeError("it is empty")
    option = OPTION.match(text)
    if option is not None:
        raise ArgumentTypeError(
            f"{option[1]}=… looks like an option of the provider, which is --option KEY=VALUE in this command; "
            "for a file of that name write ./ in front"
        )
    return text


def run(options: Namespace) -> int:
    """Carry out the command."""
    from tako_map import job

    return job.run(options)
