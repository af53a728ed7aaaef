"""Sweeps: train many configurations with one command."""
