"""Fetching images and files by URL, for vendors that only take them inline, without opening your network.

A plugin that encodes by ``tako.kit.fetching.encode_fetched`` has it. By hand it's one line::

    files = await fetch_files(parts, policy)  # ImageParts and FileParts, in the order of the parts that name them

Reading order: `url` (parse once, strictly), `addresses` (which may be dialled), `network` (resolve once, dial what was
judged), `answer` (what may come back), `fetch` (hops, the deadline, the audit log), `rules` (every refusal by name).
"""

from tako.kit.prefetch.fetch import FILE_TYPES, fetch_file, fetch_files, fetch_image, fetch_images
from tako.kit.prefetch.network import Network
from tako.kit.prefetch.rules import RULES, Rule

__all__ = ["FILE_TYPES", "RULES", "Network", "Rule", "fetch_file", "fetch_files", "fetch_image", "fetch_images"]
