"""A run on several devices: a process for each of them, of which the first does all that one process does alone."""
