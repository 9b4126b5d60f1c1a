#!/bin/sh
# A step of CI: measure, and fail when storage became worse than in earlier runs.
# Options are passed on: sh examples/gate.sh --mlps-cache-dir=/mnt/array/cache
# Set MLPERF_RESULTS_DIR to a directory that is kept between jobs: its runs are the history. The gate
# compares from the sixth run on, and passes until then.
set -eu
python -m pytest --pyargs mlpstorage_bench.benchmarks -k test_workload \
    --mlps-profile "$(dirname "$0")/profile.yaml" \
    --mlps-gate --mlps-gate-no-baseline=collect --mlps-gate-report=verdicts.json "$@"
