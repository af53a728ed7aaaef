"""What a trained network is asked, and how its answers leave: rows of numbers, pictures, formats, exported files."""
