"""A directory to hand in, made from runs: their files, system descriptions, tables, code images."""
