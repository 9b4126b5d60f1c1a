"""Command-line options: declarations, and the settings made from them."""
