"""How ranks start and talk: hosts, launchers, communicators, agreement."""
