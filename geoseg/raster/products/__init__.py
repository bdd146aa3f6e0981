"""Products as agencies publish them: many files and a description, read as one scene by the bands' names."""
