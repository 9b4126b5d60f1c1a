"""The parent process: starts ranks through a launcher and watches them."""
