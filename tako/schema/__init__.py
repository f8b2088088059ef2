"""JSON Schemas as values: one plain form of them, and the nulls that a strict form adds to replies."""
