"""What makes a wrong configuration fail early, with the fix in the message."""
