"""Strategies: wrappers that leave a protocol less to say. `quorate.protocols.mechanisms` says which goes with which."""
