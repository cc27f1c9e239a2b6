"""Video files: finding them, decoding them with ffmpeg, windows of frames."""
