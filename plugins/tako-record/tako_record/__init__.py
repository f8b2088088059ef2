"""Record and replay what tako providers send and receive, at the wire, secrets scrubbed."""
