"""The article that the four networks come from, reproduced: its statements beside what was measured here, as a page."""
