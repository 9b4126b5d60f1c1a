"""Communication between ranks: communicators, agreement, interrupts, time limits."""
