"""Objectives of training: one LightningModule each, losses, optimizer."""
