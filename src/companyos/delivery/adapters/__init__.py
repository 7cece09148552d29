"""What fits the ports of delivery: the real thing, and an in-memory twin beside it."""
