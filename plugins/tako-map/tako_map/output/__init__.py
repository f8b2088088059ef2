"""Results out: to standard output, a file of JSON lines, or a folder of Parquet files.

``record`` is a result as it's written; ``json_lines`` and ``parquet`` write it, and read what an earlier run has
written; ``fingerprint`` tells whether that run had the same prompt and model.
"""

from __future__ import annotations

from pathlib import Path

from tako.errors import ConfigurationError
from tako_map.output.json_lines import STANDARD, JsonLinesFile, StandardOutput
from tako_map.output.parquet import ParquetFolder

__all__ = ["STANDARD", "Output", "open_output"]

Output = JsonLinesFile | ParquetFolder | StandardOutput


def open_output(location: str | Path) -> Output:
    """Open standard output ("-"), a JSONL file (by its suffix) or a folder of Parquet files.

    Raises ConfigurationError.
    """
    if location == STANDARD:
        return StandardOutput()
    path = Path(location)
    try:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return JsonLinesFile(path)
        if path.suffix.lower() in (".parquet", "") and (path.is_dir() or not path.exists()):
            return ParquetFolder(path)
    except FileExistsError as error:
        raise ConfigurationError(f"{location}: {error.filename} isn't a folder") from error
    except OSError as error:
        raise ConfigurationError(f"{location}: {error.strerror or error}") from error
    raise ConfigurationError(f"{location}: results go to a .jsonl file, to a folder of Parquet files, or to - (stdout)")
