"""What components declare on AWS, one by one; the whole program is decided by its siblings."""
