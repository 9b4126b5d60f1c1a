"""A sweep: the same workload with a growing number of users, a case of its own for each.

The history keeps the cases apart by their names:

    pytest examples/test_sweep_users.py
    pytest --mlps-history
"""

import pytest

from mlpstorage_bench import KVCache


@pytest.mark.parametrize("users", [4, 16, 64])
def test_users(kvcache: KVCache, users: int) -> None:
    result = kvcache.run(1, case=f"users-{users}", num_users=users)
    assert result.read_gib_s > 0
