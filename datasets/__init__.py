"""What is on disk, as samples: annotation readers, frames, clip features, index sampling, the TRM question maker."""
