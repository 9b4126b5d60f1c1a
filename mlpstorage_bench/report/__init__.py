"""Output for people: the terminal, Markdown, HTML."""
