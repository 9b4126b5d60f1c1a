"""Secrets in commands, arguments and variables: values that are not public."""

from __future__ import annotations

import shlex

import pytest

from mlpstorage_bench.redaction.commands import (
    record_launcher_arguments,
    redact_command,
    redact_environment,
    redact_launcher_arguments,
)

COMMANDS = [
    ("mpirun -x KEY=hush,hush -n 2 python -m pytest", "mpirun -x KEY -n 2 python -m pytest"),
    ("mpirun -x LD_PRELOAD=/a:/b -n 2 pytest", "mpirun -x LD_PRELOAD=/a:/b -n 2 pytest"),
    ("mpirun -x KEY -n 2 pytest -x a=b", "mpirun -x KEY -n 2 pytest -x a=b"),
    ("mpirun -x UCX_TLS=tcp,self pytest", "mpirun -x UCX_TLS=tcp,self pytest"),
    ("mpirun -x PYTHON_API_TOKEN=hush pytest", "mpirun -x PYTHON_API_TOKEN pytest"),
    ("mpiexec -genv KEY hush -env N hush -n 2 /v/python3.11 x", "mpiexec -n 2 /v/python3.11 x"),
    ("mpiexec -genv FI_PROVIDER tcp -n 2 pytest", "mpiexec -genv FI_PROVIDER tcp -n 2 pytest"),
    ("mpiexec --genv=KEY=hush --env KEY=hush pytest", "mpiexec --genv=KEY --env KEY pytest"),
    ("srun --export=ALL,KEY=hush,B -n2 pytest", "srun --export=ALL,KEY,B -n2 pytest"),
    ("srun --export \"A='hush,hush',KEY=hush\" -n2 pytest", "srun --export A,KEY -n2 pytest"),
    (
        "mpirun --mca mca_base_env_list 'A=hush,hush;PYTHONPATH=/x;B' --mca btl tcp,self pytest",
        "mpirun --mca mca_base_env_list 'A;PYTHONPATH=/x;B' --mca btl tcp,self pytest",
    ),
    (
        "mpirun -x OMPI_MCA_mca_base_env_list=A=hush pytest",
        "mpirun -x OMPI_MCA_mca_base_env_list pytest",
    ),
    ("mpirun -n 2 env PW=hush name=hush python x", "mpirun -n 2 env python x"),
    ("mpirun env -u HOME PW=hush TERM=dumb pytest", "mpirun env -u HOME TERM=dumb pytest"),
    (
        "mpirun sh -c 'cd /x && PW=hush pw2=hush pytest a=b'",
        "mpirun sh -c 'cd /x && PW=\"$PW\" pw2=\"$pw2\" pytest a=b'",
    ),
    ("mpirun bash -lc 'export PW=hush; pytest'", "mpirun bash -lc 'export PW; pytest'"),
    ("mpirun bash -c 'pytest | tee $HOME/x'", "mpirun bash -c 'pytest | tee $HOME/x'"),
    ("mpirun ./run.sh PW=hush pytest", "mpirun ./run.sh PW=*** pytest"),
    ("mpirun --map-by ppr:2:node:PE=4 pytest", "mpirun --map-by ppr:2:node:PE=4 pytest"),
    ("pytest --mlps-mpi-params='-x K=hush -v' -x", "pytest --mlps-mpi-params='-x K -v' -x"),
    ("mpirun --mca plm_rsh_agent 'sshpass -p hush ssh' pytest",
     "mpirun --mca plm_rsh_agent 'sshpass ***' pytest"),
    ("mpirun --mca btl_x_password hush pytest", "mpirun --mca btl_x_password '***' pytest"),
    ("pytest --mlps-mpi-params '--mca mca_base_env_list A=hush'",
     "pytest --mlps-mpi-params '--mca mca_base_env_list A'"),
    ("pytest --mpi-params '-x KEY=hush -v'", "pytest --mpi-params '-x KEY -v'"),
    ("pytest --mpi-params \"'hush\"", "pytest --mpi-params ***"),
    ("mpirun -n 2 pytest -k 'a=b' --mlps-set=a=b", "mpirun -n 2 pytest -k a=b --mlps-set=a=b"),
    ("pytest --mlps-set tokens_per_block=16", "pytest --mlps-set tokens_per_block=16"),
    ("pytest --db-password hush --token=hush", "pytest --db-password *** --token=***"),
    ("pytest -o api_key=hush --override-ini=api_token=hush",
     "pytest -o api_key=*** --override-ini=api_token=***"),
    ("pytest --db=postgres://me:hush@db/x", "pytest --db=postgres://db/x"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kept"), COMMANDS)
def test_command_omits_secrets(given: str, kept: str) -> None:
    redacted = redact_command(shlex.split(given))
    assert redacted == shlex.split(kept)
    assert "hush" not in shlex.join(redacted)


@pytest.mark.parametrize(("given", "_kept"), COMMANDS)
def test_redacted_command_stays_as_it_is(given: str, _kept: str) -> None:
    once = redact_command(shlex.split(given))
    assert redact_command(once) == once


def test_environment_keeps_values_of_public_variables() -> None:
    given = {"PYTEST_ADDOPTS": "--mpi-params='-x A=hush' -q", "KEY": "hush", "TERM": None}
    kept = {"PYTEST_ADDOPTS": "'--mpi-params=-x A' -q", "KEY": None, "TERM": None}
    assert redact_environment(given) == kept


def test_arguments_without_secrets_keep_their_quotes() -> None:
    assert redact_launcher_arguments('--mca  btl "tcp,self"') == '--mca  btl "tcp,self"'


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("-x KEY=hush -x LD_PRELOAD=/opt/a.so", "-x KEY -x LD_PRELOAD=/opt/a.so"),
        ("-genv KEY hush -genv LD_AUDIT /a.so", "-genv KEY *** -genv LD_AUDIT /a.so"),
        ("env PW=hush TERM=dumb", "env PW TERM=dumb"),
        ("--mca btl tcp,self --bind-to none", "--mca btl tcp,self --bind-to none"),
        ("-x K='hush", "***"),
    ],
)
def test_recorded_arguments_have_the_names_of_all_variables(given: str, recorded: str) -> None:
    kept = record_launcher_arguments(given)
    assert kept.replace("'", "") == recorded
    assert "hush" not in kept
