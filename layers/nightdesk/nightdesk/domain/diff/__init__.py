"""What a pull request changes: its files, their hunks, and the lines that take a comment."""
