"""One script per step from raw videos and annotations to what training reads; each is a function, too."""
