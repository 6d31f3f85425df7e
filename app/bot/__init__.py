"""The Bluesky bot: reads mentions, does what they ask for and answers each of them once."""
