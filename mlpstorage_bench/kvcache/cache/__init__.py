"""Where an entry is: tiers, what they hold, and what has to go."""
