"""A benchmark type of another project: each rank writes files and reads them again."""

from mlpstorage_bench import TypeEntry

ENTRY = TypeEntry("copy_files", "copy_files_case", "copy_files.benchmark:COPY_FILES")
