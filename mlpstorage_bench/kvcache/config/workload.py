"""Parameters of a workload, and their validation. Names are the reference's, if it has them.

Sizes `_gb` are in GiB.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlpstorage_bench.errors import nearest
from mlpstorage_bench.kvcache.cache.eviction import PolicyName
from mlpstorage_bench.kvcache.config.models import MODELS, Dtype, Geometry
from mlpstorage_bench.kvcache.config.slo import ObjectiveName, Slo, on_blocks, on_storage
from mlpstorage_bench.kvcache.workload.accesses import DecodeReads, KeyedBy, Phase, Rules
from mlpstorage_bench.kvcache.workload.arrivals import Distribution, Rate
from mlpstorage_bench.kvcache.workload.sharing import Popularity, Sharing
from mlpstorage_bench.measure.steadiness import Criterion
from mlpstorage_bench.profiles.quantities import (
    MOST_SECONDS,
    Factor,
    Gib,
    Percent,
    PerSecond,
    PositiveFactor,
    Seconds,
    SomeGib,
    unit,
)
from mlpstorage_bench.profiles.schema import Strict
from mlpstorage_bench.storage.files import Durability, IoMode
from mlpstorage_bench.storage.kernel_queue import QueueChoice

GENERATION_S_PER_TOKEN = {"none": 0.0, "fast": 0.002, "realistic": 0.030}

LARGE_MODEL_HIDDEN, LARGE_MODEL_LAYERS = 8192, 64
"""Models with either value or more get shorter documents (like in kv-cache.py)."""
RAG_CHUNK_BYTES = 256 << 20
"""Largest chunk of a document."""

Layout = Literal["entry", "block", "slab"]


MOST_USERS_PER_RANK = 100_000
SYNONYMS = {"users_per_rank": "num_users", "lanes": "max_concurrent_allocs"}
"""Another accepted name of a parameter → its own name, which is the reference's."""


class Workload(Strict):
    """Parameters of one workload, which runs in one test case. Sizes `_gb` are in GiB."""

    title: str = "untitled"
    """Name of the workload for readers."""
    model: str
    """Name of a model of the package or the profile, which determines the bytes per token."""
    geometry: Geometry | None = None
    """Geometry of a model that the profile defines; None for one of MODELS."""
    kv_dtype: Dtype | None = None
    """Type of the cached vectors; None: the model's."""
    tensor_parallel: int = Field(default=1, ge=1, le=1024)
    """Degree of tensor parallelism: a rank stores the shard of one accelerator."""
    num_users: int | None = Field(default=None, ge=1, le=MOST_USERS_PER_RANK)
    """Users of each rank: load grows with ranks, as in MLPerf's rules (weak scaling).

    This key or `users_total` is required.
    """
    users_total: int | None = Field(default=None, ge=1, le=10_000_000)
    """Users of all ranks together, the same for any number of ranks (strong scaling).

    It takes precedence over `num_users`.
    """
    duration: float = Field(ge=1e-3, le=86_400, allow_inf_nan=False, json_schema_extra=unit("s"))
    """Length of the measurement window, in seconds."""
    warmup: Seconds = 0.0
    """Seconds under load before the window opens."""
    warmup_until: Literal["time", "steady"] = "time"
    """steady: the window opens as soon as bandwidth is steady, at the latest after `warmup`."""
    steady_window: float = Field(
        default=10.0, ge=1e-3, le=MOST_SECONDS, allow_inf_nan=False, json_schema_extra=unit("s")
    )
    """Seconds of the interval that must be steady."""
    steady_slope_pct: Percent = 5.0
    """Largest rise or fall of the trend within the interval, in % of the mean."""
    steady_deviation_pct: Percent = 20.0
    """Largest deviation of a part of the interval from the mean, in % of the mean."""
    precondition: Literal["none", "steady"] = "none"
    """steady: entries are written first, until the write bandwidth is steady."""
    precondition_gb: SomeGib | None = None
    """Limit on the data that preconditioning writes; None: twice the capacity."""
    gpu_mem_gb: Gib = 0.0
    """Memory of the first tier, per rank; emulated in host memory."""
    cpu_mem_gb: Gib = 0.0
    """Memory of the second tier, per rank."""
    storage_capacity_gb: SomeGib | None = None
    """Storage capacity of a rank; None: its share of 0.8 of the free space."""
    max_concurrent_allocs: int = Field(default=16, ge=1, le=4096)
    """Requests that a rank serves concurrently, on one lane each."""
    generation_mode: Literal["none", "fast", "realistic"] = "none"
    """Time per generated token: 0, 2 or 30 ms, spent without occupying a lane."""
    eviction: PolicyName = "lru"
    """Entries that a full tier gives up first: least recently, least frequently used, or oldest."""
    promotion: bool = False
    """Whether entries move to the highest tier after a read."""
    phase: Phase = "mixed"
    """`prefill` only writes; `decode` only reads entries that were written before the window."""
    decode_reads: DecodeReads = "reference"
    """Reads of the turn's entry for decoding: 1 plus 1 per 32 tokens, 1, or 0."""
    keyed_by: KeyedBy = "turn"
    """`turn`: an entry per turn; `prefix`: shared blocks keyed by hash chain."""
    context_limit: int = Field(default=131_072, ge=1, le=1 << 24, json_schema_extra=unit("tokens"))
    """Largest number of tokens in a conversation, with `keyed_by` `prefix`."""
    system_prompt_share: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Share of conversations that start with a shared system prompt."""
    system_prompts: int = Field(default=10, ge=1, le=1000)
    """Number of different system prompts; their popularity is zipfian."""
    system_prompt_tokens: int = Field(
        default=1024, ge=50, le=1 << 20, json_schema_extra=unit("tokens")
    )
    """Largest length of a system prompt; the smallest is a quarter of it."""
    rag_share: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Share of requests that retrieve from documents, which are written before the window."""
    rag_documents: int = Field(default=10, ge=1, le=100_000)
    """Number of documents."""
    rag_document_tokens: (
        Annotated[list[int], Field(min_length=2, max_length=2, json_schema_extra=unit("tokens"))]
        | None
    ) = None
    """Smallest and largest document; None: 4000 to 12 000, for large models 1024 to 4096."""
    rag_chunk_tokens: int = Field(default=512, ge=1, le=1 << 20, json_schema_extra=unit("tokens"))
    """Tokens of a document's chunk, reduced if it would be larger than 256 MiB."""
    rag_top_k: int = Field(default=5, ge=1, le=1000)
    """Chunks of a document that a retrieval reads."""
    rag_retrieval: Popularity = "zipfian"
    """Popularity of documents, and of chunks within a document."""
    arrivals: Literal["closed", "constant", "poisson", "gamma"] = "closed"
    """closed: users send requests after their think time; else requests arrive at a rate."""
    rate: PerSecond | None = None
    """Requests per second and rank, if they arrive at a rate."""
    rate_end: PerSecond | None = None
    """Rate at the window's end, reached linearly; None: constant rate."""
    burstiness: PositiveFactor = 1.0
    """Shape of gamma arrivals: 1 is Poisson, less is burstier."""
    trace_in: str | None = None
    """File with operations or requests to replay in place of users."""
    trace_speed: PositiveFactor = 1.0
    """Speed of the replay relative to the recording."""
    trace_out: str | None = None
    """File for the operations of each trial, compressed if the name ends in .zst."""
    requests: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """Total requests of a rank in one trial; the window closes when they are answered."""
    stop_after_gb: SomeGib | None = None
    """Bytes that a rank reads and writes on storage until the window closes."""
    storage: Literal["files", "null"] = "files"
    """null: no storage, in simulated time, which gives the exact demand of the workload."""
    layout: Layout = "entry"
    """Layout on storage: a file per entry, a file per block, or slots in preallocated files."""
    tokens_per_block: int = Field(default=256, ge=1, le=1 << 20, json_schema_extra=unit("tokens"))
    """Size of a block (layout `block`) or slot (layout `slab`), in tokens."""
    io_mode: IoMode | None = None
    """Whether I/O goes around the page cache, through it, or through it without leaving anything
    there; None: direct if the filesystem supports it."""
    durability: Durability = "none"
    """System call when a file is complete."""
    io_chunk_kib: int = Field(
        default=1024, ge=4, le=1 << 20, multiple_of=4, json_schema_extra=unit("KiB")
    )
    """Size of a system call, in KiB."""
    chunks_in_flight: int = Field(default=1, ge=1, le=256)
    """Chunks of one entry that a lane reads or writes concurrently."""
    io_threads: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = "auto"
    """Threads that serve a rank's lanes; auto: one, or more where that raises its ceiling."""
    io_queue: QueueChoice = "auto"
    """Queue of the kernel for transfers; auto: io_uring, or Linux AIO where it is refused."""
    verify_rate: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)
    """Share of read chunks whose content is checked."""
    read_back_gb: Gib = 0.25
    """Data that a rank reads back and checks after a window in which nothing was verified."""
    compress_ratio: float = Field(default=1.0, ge=1, le=128, allow_inf_nan=False)
    """Ratio by which the data can be compressed."""
    dedup_ratio: float = Field(default=1.0, ge=1, le=1000, allow_inf_nan=False)
    """Ratio by which the data can be deduplicated."""
    calibration: Seconds = 0.3
    """Seconds of each of the two measurements of the harness's ceiling; 0 skips them."""
    entry_scale: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """Fraction of each context's tokens that is stored; 1 for comparable results."""
    think_time_scale: Factor = 1.0
    """Factor on the users' think times."""
    slos: dict[ObjectiveName, Slo] = Field(default_factory=dict)
    """Objectives of classes of requests and operations on storage; a run that misses one fails."""
    block_mib: int | None = Field(default=None, ge=1, le=1 << 20, json_schema_extra=unit("MiB"))
    """Size of the blocks of an entry whose times are measured; None: no block is measured."""
    write_limit_gb: SomeGib | None = None
    """Limit on bytes that a rank writes to storage in one trial; it closes the window."""

    @field_validator("storage", mode="before")
    @classmethod
    def _accept_yaml_null(cls, value: object) -> object:
        return "null" if value is None else value  # YAML reads null as None

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if (self.arrivals == "closed") != (self.rate is None):
            raise ValueError(
                f"arrivals {self.arrivals} and rate {self.rate}: arrivals constant, poisson and "
                "gamma need a rate, and closed accepts none"
            )
        if self.num_users is None and self.users_total is None:
            raise ValueError("num_users (of each rank) or users_total (of all ranks) is needed")
        if self.rate_end is not None and self.rate is None:
            raise ValueError("rate_end needs rate, at which the ramp begins")
        if self.trace_in is not None and self.phase == "decode":
            raise ValueError("phase decode reads prepared entries only: it accepts no trace_in")
        if self.storage == "null" and (self.precondition, self.warmup_until) != ("none", "time"):
            raise ValueError("storage null has no bandwidth that could become steady")
        ends = self.requests is not None or self.stop_after_gb or self.write_limit_gb
        if self.storage == "null" and not self.takes_time and not ends:
            raise ValueError(
                "storage null without think time and generation: simulated time would not advance, "
                "so the trial would never end. Set requests or stop_after_gb"
            )
        tokens = self.rag_document_tokens
        if tokens is not None and not 1 <= tokens[0] <= tokens[1]:
            raise ValueError(f"rag_document_tokens: got {tokens}; accepted: [smallest, largest]")
        return self

    @model_validator(mode="after")
    def _check_objectives(self) -> Self:
        if self.block_mib is not None and self.block_mib * 1024 < self.io_chunk_kib:
            raise ValueError(
                f"block_mib {self.block_mib} is smaller than a chunk (io_chunk_kib "
                f"{self.io_chunk_kib}): blocks are measured as several chunks, or one"
            )
        if self.storage == "null" and on_storage(self.slos):
            raise ValueError(
                f"slos {on_storage(self.slos)} limits times on storage, and storage null takes none"
            )
        if self.block_mib is None and on_blocks(self.slos):
            raise ValueError(
                f"slos {on_blocks(self.slos)} needs block_mib, the size of a block, such as 32"
            )
        return self

    @model_validator(mode="after")
    def _check_model(self) -> Self:
        if self.geometry is None and self.model not in MODELS:
            raise ValueError(
                f"unknown model {self.model!r}; accepted: {', '.join(MODELS)}, or one under the "
                f"profile's models. {nearest(self.model, MODELS)}"
            )
        _ = self.bytes_per_token  # raises if tensor_parallel does not divide the model
        return self

    @property
    def bytes_per_token(self) -> int:
        """Bytes of key/value data that a rank stores per token."""
        geometry = self.geometry or MODELS[self.model]
        return geometry.bytes_per_token(self.kv_dtype, self.tensor_parallel)

    @property
    def takes_time(self) -> bool:
        """Whether the requests take time even if storage takes none."""
        return bool(
            self.think_time_scale
            or self.generation_mode != "none"
            or self.arrivals != "closed"
            or self.trace_in is not None
        )

    @property
    def generation_s_per_token(self) -> float:
        """Seconds per generated token."""
        return GENERATION_S_PER_TOKEN[self.generation_mode]

    @property
    def users(self) -> int:
        """Users of the rank that this workload was made for (`RankWorkload`)."""
        if self.num_users is None:
            raise AssertionError("the workload is that of all ranks")
        return self.num_users

    @property
    def lanes(self) -> int:
        """Requests that a rank serves concurrently: not more than it has users."""
        if self.trace_in is not None:
            return self.max_concurrent_allocs
        return min(self.max_concurrent_allocs, self.users)

    @property
    def rules(self) -> Rules:
        """Rules that turn requests into cache accesses."""
        return Rules(self.phase, self.decode_reads, self.keyed_by, self.tokens_per_block)

    @property
    def sharing(self) -> Sharing:
        """Shared content; documents and chunks are smaller for large models."""
        geometry = self.geometry or MODELS[self.model]
        is_large = (
            geometry.hidden_size >= LARGE_MODEL_HIDDEN or geometry.layers >= LARGE_MODEL_LAYERS
        )
        least, most = self.rag_document_tokens or ((1024, 4096) if is_large else (4000, 12_000))
        return Sharing(
            system_prompt_share=self.system_prompt_share,
            system_prompts=self.system_prompts,
            system_prompt_tokens=self.system_prompt_tokens,
            rag_share=self.rag_share,
            rag_documents=self.rag_documents,
            rag_document_tokens=(least, most),
            rag_chunk_tokens=max(
                1, min(self.rag_chunk_tokens, RAG_CHUNK_BYTES // self.bytes_per_token)
            ),
            rag_top_k=self.rag_top_k,
            rag_retrieval=self.rag_retrieval,
        )

    @property
    def rate_of_arrivals(self) -> Rate | None:
        """Arrival rate, None in a closed loop; a ramp lasts until the window's end."""
        if self.arrivals == "closed" or self.rate is None:
            return None
        distribution: Distribution = self.arrivals
        ramp_s = self.warmup + self.duration if self.rate_end is not None else 0.0
        return Rate(distribution, self.rate, self.rate_end, ramp_s, self.burstiness)

    @property
    def steady(self) -> Criterion:
        """Condition for bandwidth to count as steady."""
        return Criterion(
            self.steady_window, self.steady_slope_pct / 100, self.steady_deviation_pct / 100
        )

    @property
    def stored_bytes_per_token(self) -> float:
        """Bytes in the cache per token of a long context."""
        return self.bytes_per_token * self.entry_scale

    def entry_bytes(self, tokens: int) -> int:
        """Return the size of an entry or block with this number of tokens."""
        return max(1, round(tokens * self.entry_scale)) * self.bytes_per_token
