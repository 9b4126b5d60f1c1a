"""What the hosts are: facts about each, gathered over the ranks of the session itself."""
