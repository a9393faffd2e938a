"""Pretrained weights → a model ready to train."""
