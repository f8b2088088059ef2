"""Fetch the images of a request by URL, for a vendor that takes them inline only, without opening the network inside.

For a plugin it is one line in its `tako_chat`, with the policy that its `url_prefetch` option gave::

    images = await fetch_images(urls, policy)      # list[ImagePart], in the order of the URLs

Reading order: `url` (parse once, strictly), `addresses` (which may be dialled), `network` (resolve once, dial what was
judged), `answer` (what may come back), `fetch` (hops, the deadline, the audit log), `rules` (every refusal by name).
"""

from tako.kit.prefetch.fetch import fetch_image, fetch_images
from tako.kit.prefetch.network import Network
from tako.kit.prefetch.rules import RULES, Rule

__all__ = ["RULES", "Network", "Rule", "fetch_image", "fetch_images"]
