"""How each family of launchers is told what to start, and where."""
