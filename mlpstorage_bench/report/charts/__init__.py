"""Charts as SVG: their geometry is computed here, and templates make the markup."""
