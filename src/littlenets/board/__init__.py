"""What TensorBoard shows of runs, and what it calls them."""
