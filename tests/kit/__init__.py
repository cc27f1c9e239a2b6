"""What tests of several rooms share: paths, processes, small worlds, runs of training."""
