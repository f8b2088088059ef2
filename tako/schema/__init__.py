"""JSON Schemas: their normal form, and the nulls that strict modes add to replies."""
