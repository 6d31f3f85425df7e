"""The game: what objects there are, and who gets them when. Knows nothing of Bluesky or the web."""
