"""What earlier runs left: their metadata files, and an index over them that makes asking quick."""
