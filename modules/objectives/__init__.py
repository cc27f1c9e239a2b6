"""What a training optimizes: one LightningModule an objective, losses, optimizer."""
