"""Kernels that two families need."""
