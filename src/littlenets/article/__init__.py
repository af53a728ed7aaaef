"""Report on the article that the four networks come from: a page that compares its statements with measured results."""
