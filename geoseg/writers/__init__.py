"""Vector files of many formats, written in one pass from a stream of Arrow batches."""
