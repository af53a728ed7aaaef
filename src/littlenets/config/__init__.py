"""Check configurations before a run starts; error messages include the fix."""
