"""The rules, one module for each section: each adds its checks to `RULES`."""

from __future__ import annotations

from mlpstorage_bench.validation.rule import RuleSet

RULES = RuleSet()
"""All rules, once `validation.validate` has imported their modules."""
