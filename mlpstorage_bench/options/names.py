"""Names of settings beside options: ini-file, environment variables, aliases."""

from __future__ import annotations

ALIASES_INI = "mlps_reference_aliases"
GRACE_INI = "mlps_failure_grace"
STARTUP_INI = "mlps_startup_limit"
DEFAULT_GRACE, DEFAULT_STARTUP = "30", "600"
"""Seconds, where the ini-file does not set them."""
MPI_INI = "mlps_mpi"
MPI_MODES = ("auto", "on", "off")

RESULTS_DIR_VARIABLE = "MLPERF_RESULTS_DIR"
SYSTEM_NAME_VARIABLE = "MLPERF_SYSTEMNAME"
SETTING_VARIABLES = (RESULTS_DIR_VARIABLE, SYSTEM_NAME_VARIABLE, "PYTEST_ADDOPTS")
"""Environment variables that change the meaning of a command."""

TAG_OPTION = "--mlps-tag"
HOSTS_ALIAS = "--hosts"
"""The reference's name of --mlps-hosts."""
