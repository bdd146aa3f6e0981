"""Files of other programs read as plain data: weights by name, by readers that can run nothing."""
