"""Small neural networks as a configuration-driven experiment framework."""
