#!/bin/sh
# A step of CI: measure, and fail when storage became worse than in earlier runs.
# Options are passed on: sh examples/gate.sh --mlps-cache-dir=/mnt/array/cache
# Keep the directory MLPERF_RESULTS_DIR between jobs: it is the history, and the gate needs five runs.
set -eu
python -m pytest --pyargs mlpstorage_bench.benchmarks -k test_workload \
    --mlps-profile "$(dirname "$0")/profile.yaml" \
    --mlps-gate --mlps-gate-no-baseline=pass --mlps-gate-report=verdicts.json "$@"
