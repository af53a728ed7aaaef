"""Predict with a trained network: read rows and pictures, format the predictions, export the network to a file."""
