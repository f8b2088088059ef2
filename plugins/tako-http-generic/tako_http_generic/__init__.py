"""Any JSON-over-HTTP endpoint as a tako provider, by template."""
