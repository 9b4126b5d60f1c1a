"""A benchmark run: its files, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.resume import COMPLETED_STATUSES, RESUME_OPTION
from mlpstorage_bench.results.benchmark_document import BenchmarkDocument
from mlpstorage_bench.results.convert import checkpoint_run, write_run
from mlpstorage_bench.results.final_status import record_final_status
from mlpstorage_bench.results.kept_trials import KeptTrial, KeptTrials
from mlpstorage_bench.results.parts_record import FollowedRecord
from mlpstorage_bench.results.record import RunRecord, Status
from mlpstorage_bench.results.run_directory import finish_run_directory
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.results.tree import remove_files
from mlpstorage_bench.session.run_contents import RunContents

_STATUS_OF: dict[int, Status] = {0: "passed", 2: "interrupted"}
"""A session's status by pytest's exit status; all others are failures."""


@dataclass
class Run(RunContents):
    """A session's results so far, and their files.

    Every rank has one; only rank 0 writes.
    """

    _cases_written: int = 0

    def claim(self, identity: Json) -> None:
        """Have the directory appear with its first files, and begin to keep finished trials.

        `identity` is what a continuation of the run is compared with. InvalidInputError on rank 0
        if the run is continued, and this session differs from it.
        """
        if self.is_root and self.resumption is not None:
            self.resumption.check_place(self.location)
            self.resumption.check_identity(identity)
        elif self.is_root:
            KeptTrials(self.location.written_in).write_identity(identity)
            self.write()
            finish_run_directory(self.location)
        self.location = replace(self.location, temporary=None)
        if self.is_root:
            self._kept.claim(RESUME_OPTION, self.run_id)

    def begin_part(self) -> None:
        """Remove the summary of the run's earlier parts, once nothing refuses this one."""
        if self.is_root:
            remove_files([self.location.summary_path])

    def finished_trials(self, case: CaseRecord) -> Sequence[KeptTrial]:
        """Return the trials of a case that earlier parts of this run have finished, on rank 0."""
        if self.resumption is None:
            return ()
        return tuple(self._kept.finished(RESUME_OPTION, case, self.facts.num_processes))

    def keep_trial(self, case: CaseRecord, state: Json) -> None:
        """Write the last trial of a case, so that a continuation need not run it again.

        `state` is what the benchmark type needs then. Only rank 0 writes.
        """
        if self.is_root:
            ended = self.times.end_trial()
            trial = case.trials[-1]
            with suppress(MlpsError):  # the end of the run reports it
                self._kept.keep(self.location, self.benchmark_type, case, trial, state, ended)

    def keep_pause(self, case: CaseRecord, trial: int, step: Json) -> None:
        """Write that the pause after a trial has completed, so that it is not repeated.

        Only rank 0 writes.
        """
        if self.is_root:
            with suppress(MlpsError):  # then a continuation waits again
                self._kept.keep_pause(case.case, trial, step)

    def checkpoint(self) -> None:
        """Write the results so far, if there are cases that are not written yet.

        They stay if the run is killed: all its files can be made from these two.
        """
        if self.is_root and self.log.cases_opened > self._cases_written:
            document, record = self._document()
            checkpoint_run(document, record, self.location, self.benchmark_type)
            self._cases_written = self.log.cases_opened

    def end_with_trials(self) -> None:
        """End the run with its last trial, and write its results: its session goes on with others.

        Only rank 0 writes.
        """
        if not self.is_root:
            return
        self.times.end_with_trials()
        with suppress(MlpsError):  # the end of the session reports it
            self.write()

    def record_final_status(self, exit_status: int) -> None:
        """Write the status to the metadata at once: there may be no time for all results.

        Open MPI's launcher gives its ranks a third of a second after a stop signal.
        """
        if self.is_root:
            status = _STATUS_OF.get(exit_status, "failed")
            record_final_status(self.location.metadata_path, status, exit_status)

    def finish(self, exit_status: int, *, tests_passed: bool = False) -> RunMetadata | None:
        """Set the session's final status, write its results, and return its metadata on rank 0.

        `tests_passed` marks a failure that only the gate has caused.
        """
        self.status = _STATUS_OF.get(exit_status, "failed")
        self.exit_status = exit_status
        self.tests_passed = tests_passed or self.status == "passed"
        self.times.end_with_session()
        try:
            return self.write()
        finally:
            self._kept.release()

    @property
    def can_resume(self) -> bool:
        """Whether the run was stopped, and its directory has what another session needs."""
        is_stopped = self.is_root and self.status == "interrupted"
        return is_stopped and self._kept.read_identity(RESUME_OPTION) is not None

    def abandon(self) -> None:
        """Give up a run that never began: another session may use its directory."""
        self._kept.release()

    def forget_trials(self) -> None:
        """Remove the finished trials of a run that has ended, as no session continues it.

        Only rank 0 does. They are needed until all runs of the session have ended.
        """
        if self.is_root and self.exit_status in COMPLETED_STATUSES:
            with suppress(OSError):  # they are hidden, and used for no run that has ended
                self._kept.remove()

    def end_without_results(self, exit_status: int) -> None:
        """Set the final status in the metadata alone, after `finish` has failed to write results.

        Where metadata is complete, something else has failed, and it is left to be written again.
        """
        self.status = _STATUS_OF.get(exit_status, "failed")
        reason = "its results could not be written"
        path = self.location.metadata_path
        if self.is_root and record_final_status(path, self.status, exit_status, reason):
            self.exit_status = exit_status

    def followed_at(self, start: datetime) -> FollowedRecord:
        """Return this run, which has ended, as the one that a run with this start has to follow."""
        return self.times.followed_at(start, self.location.timestamp, self.status)

    def write(self) -> RunMetadata | None:
        """Write the run's files with the results so far; return its metadata on rank 0.

        While it is running, these are the files from which all others can be made.
        """
        if not self.is_root:
            return None
        document, record = self._document()
        write_files = checkpoint_run if self.status == "running" else write_run
        return write_files(document, record, self.location, self.benchmark_type)

    def _document(self) -> tuple[BenchmarkDocument, RunRecord]:
        """Return pytest-benchmark's JSON that includes our record, and the record."""
        document = self.make_document(self.log.statistics)
        record = self.make_record([benchmark.fullname for benchmark in document.benchmarks])
        return document.with_record(record.model_dump(mode="json")), record
