"""How many workers run: decided from the queue, brought about by whoever reads the number."""
