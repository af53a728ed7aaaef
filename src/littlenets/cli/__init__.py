"""The command line: errors, exit codes, and command lines that stand for a saved run."""
