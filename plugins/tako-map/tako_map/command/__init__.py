"""``tako map``: its arguments. ``job`` is one run, imported when the command runs; ``progress`` shows how far it is."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING

from tako.cli.arguments import number, whole_number

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  tako map -m openai:gpt-6-luna in.csv -o out.jsonl --prompt "Name the topic in a word: {text}"
  tako map -m openai:gpt-6.2-sol in.parquet -o labels/ --prompt "…{text}…" --schema label.json --max-cost 20
  tako map -m openai:gpt-6-luna in.jsonl -o out/ --prompt "…" --engine dask --address tcp://host:8786 --rpm 10000
"""
NOTES = """\
The same command continues where it stopped; every key is in the output once. If you change the prompt or the model,
the command is refused until you add --restart (send everything again) or --keep (keep the old answers).
"""
OPTION = re.compile(r"([A-Za-z_][\w-]*)=")
"""The value of -o in other commands."""


def command(parser: ArgumentParser) -> None:
    """Add the arguments to the parser of the command."""
    parser.description = f"Send one prompt for each of many rows, on this machine or on a cluster.\n\n{EXAMPLES}"
    parser.epilog = NOTES
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("input", metavar="IN", help="rows: a .jsonl, .csv, .tsv or .parquet file")
    output = "results: a .jsonl file, a folder of Parquet files, or - for standard output"
    add("-o", "--output", metavar="OUT", required=True, type=_output, help=output)
    add(
        "-m",
        "--model",
        metavar="ID",
        help="the model, such as openai:gpt-6.2-sol, or a name in tako.toml (default: as in tako chat)",
    )
    config = "the configuration (default: TAKO_CONFIG, then ./tako.toml if you trust it, then your own tako.toml)"
    add("-c", "--config", metavar="FILE", help=config)
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the provider, such as base_url=http://gpu:11434; you can repeat it",
    )
    for add_group in (_add_request, _add_limits, _add_earlier_results, _add_engine):
        add_group(parser)


def _add_request(parser: ArgumentParser) -> None:
    """Add the arguments that make a request of each row."""
    group = parser.add_argument_group("the request")
    group.add_argument("--prompt", metavar="TEMPLATE", help="the prompt, with {column} where a row's cell goes")
    group.add_argument("--system", metavar="TEXT", help="an instruction for the model, which goes before the prompt")
    group.add_argument("--schema", metavar="FILE", help="a JSON Schema that the answers must match")
    group.add_argument("--image-column", metavar="COLUMN", help="a column of images: addresses, files or bytes")
    group.add_argument(
        "--key", metavar="COLUMN", help='the column with the keys (default: "key" or "id", else the row numbers)'
    )
    group.add_argument("--max-tokens", type=whole_number, metavar="N", help="the most tokens of an answer")
    group.add_argument("--temperature", type=number, metavar="X", help="the sampling temperature")


def _add_limits(parser: ArgumentParser) -> None:
    """Add the arguments that limit a run."""
    group = parser.add_argument_group("how fast, and for how much")
    group.add_argument("--rpm", type=number, metavar="N", help="requests per minute, of all workers together")
    group.add_argument("--tpm", type=number, metavar="N", help="tokens per minute, of all workers together")
    budget = "runs on one cluster with the same one share --rpm and --tpm; default: the model's id"
    group.add_argument("--budget", metavar="NAME", help=budget)
    group.add_argument(
        "--max-cost", type=number, metavar="USD", help="stop before the cost, with earlier runs, exceeds this"
    )
    group.add_argument(
        "--concurrency", type=whole_number, default=64, metavar="N", help="the most calls at once (default: 64)"
    )
    group.add_argument(
        "--attempts", type=whole_number, default=8, metavar="N", help="the most calls for one row (default: 8)"
    )


def _add_earlier_results(parser: ArgumentParser) -> None:
    """Add the arguments about the results of earlier runs."""
    group = parser.add_argument_group("results that OUT has already")
    group.add_argument("--retry-failed", action="store_true", help="send failed rows again")
    exclusive = group.add_mutually_exclusive_group()
    exclusive.add_argument("--restart", action="store_true", help="delete all answers, and send every row again")
    exclusive.add_argument(
        "--keep", action="store_true", help="keep the answers, although the prompt or the model has changed"
    )


def _add_engine(parser: ArgumentParser) -> None:
    """Add the arguments about where the calls are made."""
    group = parser.add_argument_group("where calls are made")
    group.add_argument(
        "--engine",
        choices=["local", "dask", "ray"],
        default="local",
        help="this process, or a cluster (default: local)",
    )
    group.add_argument("--address", metavar="ADDRESS", help="a running cluster (default: one is started here)")
    group.add_argument("--workers", type=whole_number, metavar="N", help="processes of a cluster that is started here")


def _output(text: str) -> str:
    """Refuse an option such as api_key=…, before its value becomes the name of a folder."""
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
    """Run the command."""
    from tako_map.command import job

    return job.run(options)
