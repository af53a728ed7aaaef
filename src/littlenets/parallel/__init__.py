"""Runs on several devices: one process for each device, of which the first does all that is not training."""
