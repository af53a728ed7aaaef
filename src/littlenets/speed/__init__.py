"""What makes training and starting fast, applied from outside: the numbers stay the same."""
