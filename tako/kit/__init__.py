"""The toolbox of plugin authors: HTTP, stream framing, wire dialects, keys. The core never imports it."""
