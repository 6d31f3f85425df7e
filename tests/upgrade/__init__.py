"""What released versions declare on AWS, and that today's program takes over from each."""
