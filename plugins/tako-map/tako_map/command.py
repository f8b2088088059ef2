"""The arguments of ``tako map``; what carries it out is imported when it runs."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  tako map -m openai:gpt-5-mini in.csv -o out.jsonl --prompt "Name the topic in a word: {text}"
  tako map -m openai:gpt-5-mini in.parquet -o labels/ --prompt "…{text}…" --schema label.json --max-cost 20
  tako map -m openai:gpt-5-mini in.jsonl -o out/ --prompt "…" --engine dask --address tcp://host:8786 --rpm 10000

The same command goes on where it was stopped; every key stands in the output once.
"""


def command(parser: ArgumentParser) -> None:
    """Add the arguments to the parser of the command."""
    parser.description = "Ask one prompt of many rows, on this machine or on a cluster."
    parser.epilog = EXAMPLES
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("input", metavar="IN", help="rows: a .jsonl, .csv, .tsv or .parquet file")
    add("-o", "--output", metavar="OUT", required=True, help="results: a .jsonl file, or a folder of Parquet files")
    add("-m", "--model", metavar="ID", help='as in "openai:gpt-5", or a name of tako.toml; else as chat')
    config = "the configuration; else TAKO_CONFIG, ./tako.toml if you trust it, or your own"
    add("-c", "--config", metavar="FILE", help=config)
    add("--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the provider; repeatable")
    asked = parser.add_argument_group("what is asked")
    asked.add_argument("--prompt", metavar="TEMPLATE", help="the question, with {column} where a row's cell goes")
    asked.add_argument("--system", metavar="TEXT", help="an instruction that goes first")
    asked.add_argument("--schema", metavar="FILE", help="a JSON Schema that the answers have to match")
    asked.add_argument("--image-column", metavar="COLUMN", help="a column of images: addresses, files or bytes")
    asked.add_argument("--key", metavar="COLUMN", help='names a row; else the column "key" or "id", else its number')
    asked.add_argument("--max-tokens", type=int, metavar="N", help="the longest answer")
    asked.add_argument("--temperature", type=float, metavar="X")
    pace = parser.add_argument_group("how fast, and for how much")
    pace.add_argument("--rpm", type=float, metavar="N", help="requests a minute, of all workers together")
    pace.add_argument("--tpm", type=float, metavar="N", help="tokens a minute, of all workers together")
    shared = "runs on one cluster with the same one share --rpm and --tpm (the id of the model)"
    pace.add_argument("--budget", metavar="NAME", help=shared)
    pace.add_argument("--max-cost", type=float, metavar="USD", help="stop before this is exceeded; OUT's cost counts")
    pace.add_argument("--concurrency", type=int, default=64, metavar="N", help="the most calls at once (64)")
    pace.add_argument("--attempts", type=int, default=8, metavar="N", help="the most calls for one row (8)")
    pace.add_argument("--retry-failed", action="store_true", help="ask the rows again that failed in OUT")
    where = parser.add_argument_group("where")
    where.add_argument("--engine", choices=["local", "dask", "ray"], default="local", help="who calls (local)")
    where.add_argument("--address", metavar="ADDRESS", help="a cluster that is there; else one is started here")
    where.add_argument("--workers", type=int, metavar="N", help="processes of a cluster that is started here")


def run(options: Namespace) -> int:
    """Carry out the command."""
    from tako_map import job

    return job.run(options)
