"""Hardware and software facts about the hosts, gathered by the ranks of the session."""
