"""One short file per data set: where its files are, how they are read, how its videos are named."""
