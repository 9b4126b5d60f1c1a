"""What people look at: the terminal, Markdown, HTML."""
