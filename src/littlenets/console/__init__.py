"""Text on terminals and in files: styled output, progress bars, standard streams, and text made safe to show."""
