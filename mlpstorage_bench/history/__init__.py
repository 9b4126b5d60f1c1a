"""What earlier runs left. Metadata files are the truth."""
