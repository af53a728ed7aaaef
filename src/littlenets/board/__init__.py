"""TensorBoard: content of a run's event files, and names of runs."""
