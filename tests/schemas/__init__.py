"""Names and schemas that vendors refuse."""
