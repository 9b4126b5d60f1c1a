"""The parameters of one workload, checked all at once. Keys are the reference's where it has them.

Sizes `_gb` are in GiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.kvcache.cache.eviction import PolicyName
from mlpstorage_bench.kvcache.config.models import MODELS, Dtype, Geometry
from mlpstorage_bench.kvcache.config.slo import QosName, Slo
from mlpstorage_bench.kvcache.workload.accesses import DecodeReads, KeyedBy, Phase, Rules
from mlpstorage_bench.kvcache.workload.arrivals import Distribution, Rate
from mlpstorage_bench.kvcache.workload.sharing import Popularity, Sharing
from mlpstorage_bench.measure.steadiness import Criterion
from mlpstorage_bench.storage.files import Durability, IoMode

GENERATION_S_PER_TOKEN = {"none": 0.0, "fast": 0.002, "realistic": 0.030}

LARGE_MODEL_HIDDEN, LARGE_MODEL_LAYERS = 8192, 64
"""From either on, documents are shorter (as in kv-cache.py)."""
RAG_CHUNK_BYTES = 256 << 20
"""No chunk of a document is larger."""

Layout = Literal["entry", "block", "slab"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PerSecond = Annotated[float, Field(gt=0, le=10_000)]
"""Requests of a rank: no more than it can make, at 10 to 50 µs each."""


SYNONYMS = {"users_per_rank": "num_users"}
"""What the rules call a parameter that has another name in the reference."""


def canonical(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the parameters' own names; InvalidInputError where one has two values."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        own = SYNONYMS.get(name, name)
        if own in named:
            raise InvalidInputError(name, value, f"{own} under one of its names, not both")
        named[own] = value
    return named


class Strict(BaseModel):
    """Unknown keys and values of other types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Workload(Strict):
    """The parameters of one option: what runs in one test case. Sizes `_gb` are in GiB."""

    title: str = "untitled"
    model: str
    """A model of MODELS or of the profile: its geometry gives the bytes per token."""
    geometry: Geometry | None = None
    """Filled in from the profile's own models; None for one of MODELS."""
    kv_dtype: Dtype | None = None
    """Type of the cached vectors; None: the model's."""
    tensor_parallel: int = Field(default=1, ge=1, le=1024)
    """Degree of tensor parallelism: a rank stores the shard of one of so many accelerators."""
    num_users: int = Field(ge=1, le=100_000)
    """Users of each rank: load grows with ranks, as the rules have it (weak scaling)."""
    users_total: int | None = Field(default=None, ge=1, le=10_000_000)
    """Users of all ranks together, instead: the same ones, however many ranks (strong scaling)."""
    duration: float = Field(gt=0, le=86_400, allow_inf_nan=False)
    """Length of the measurement window, in seconds."""
    warmup: NotNegative = 0.0
    """Seconds under load before the window opens."""
    warmup_until: Literal["time", "steady"] = "time"
    """steady: the window opens as soon as bandwidth is steady, and after `warmup` at the latest."""
    steady_window: Positive = 10.0
    """Seconds over which bandwidth is judged steady."""
    steady_slope_pct: Positive = 5.0
    """How much the trend may rise or fall within them, in % of the mean."""
    steady_deviation_pct: Positive = 20.0
    """How far any part of them may be from the mean, in %."""
    precondition: Literal["none", "steady"] = "none"
    """steady: entries are written before anything else until the write bandwidth is steady."""
    precondition_gb: Positive | None = None
    """What preconditioning writes at most, GiB; None: twice the capacity."""
    gpu_mem_gb: NotNegative = 0.0
    """Memory of the first tier, per rank; emulated in host memory."""
    cpu_mem_gb: NotNegative = 0.0
    """Memory of the second tier, per rank."""
    storage_capacity_gb: Positive | None = None
    """What a rank may keep on storage; None: its share of 0.8 of the free space."""
    max_concurrent_allocs: int = Field(default=16, ge=1, le=4096)
    """Requests that a rank serves at once: one lane each."""
    generation_mode: Literal["none", "fast", "realistic"] = "none"
    """Time per generated token: 0, 2 or 30 ms, spent without occupying a lane."""
    eviction: PolicyName = "lru"
    """What goes first from a tier that is full: lru, lfu or fifo."""
    promotion: bool = False
    """Whether an entry that was read moves up to the highest tier."""
    phase: Phase = "mixed"
    """`prefill` only writes; `decode` only reads what was written before the window."""
    decode_reads: DecodeReads = "reference"
    """How often decoding reads what the turn wrote: 1 + one per 32 tokens, once, or not at all."""
    keyed_by: KeyedBy = "turn"
    """`turn`: an entry per turn; `prefix`: blocks keyed by hash chain, and shared."""
    context_limit: int = Field(default=131_072, ge=1, le=1 << 24)
    """Tokens that a conversation may have, where it is one prompt (keyed_by prefix)."""
    system_prompt_share: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Of the conversations, those that open with a shared system prompt."""
    system_prompts: int = Field(default=10, ge=1, le=1000)
    """How many different ones there are; their popularity is zipfian."""
    system_prompt_tokens: int = Field(default=1024, ge=50, le=1 << 20)
    """Of the longest; each has a quarter of this or more."""
    rag_share: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Of the requests, those that retrieve from documents; these are written before the window."""
    rag_documents: int = Field(default=10, ge=1, le=100_000)
    rag_document_tokens: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    """Least and most; None: 4000 to 12 000, for large models 1024 to 4096."""
    rag_chunk_tokens: int = Field(default=512, ge=1, le=1 << 20)
    """Of a chunk of a document; fewer where that would be more than 256 MiB."""
    rag_top_k: int = Field(default=5, ge=1, le=1000)
    """Chunks of a document that a retrieval reads."""
    rag_retrieval: Popularity = "zipfian"
    """How popular documents, and chunks within them, are."""
    arrivals: Literal["closed", "constant", "poisson", "gamma"] = "closed"
    """closed: users ask when they have thought; else requests come at a rate."""
    rate: PerSecond | None = None
    """Requests per second and rank, where they come at a rate."""
    rate_end: PerSecond | None = None
    """The rate at the window's end, reached linearly; None: the rate stays."""
    burstiness: Positive = 1.0
    """Of gamma arrivals: 1 is Poisson, less is burstier."""
    trace_in: str | None = None
    """A recorded workload to replay instead of users: a file of operations, or of requests."""
    trace_speed: Positive = 1.0
    """How many times faster than recorded."""
    trace_out: str | None = None
    """Where the operations of each trial are written; zstd where the name ends in .zst."""
    requests: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """What a rank is asked in one trial, in all; the window closes when it is answered."""
    stop_after_gb: Positive | None = None
    """What a rank moves from and to storage inside the window before that closes, GiB."""
    storage: Literal["files", "null"] = "files"
    """null: no storage at all, in simulated time: what the workload asks for, exactly."""
    layout: Layout = "entry"
    """How entries lie on storage: a file each, a file per block, or slots of preallocated files."""
    tokens_per_block: int = Field(default=256, ge=1, le=1 << 20)
    """Size of a block (layout `block`) or slot (layout `slab`), in tokens."""
    io_mode: IoMode | None = None
    """`direct` or `buffered`; None: direct where the filesystem has it."""
    durability: Durability = "none"
    """What is done when a file is complete: nothing, fdatasync or fsync."""
    io_chunk_kib: int = Field(default=1024, ge=4, le=1 << 20, multiple_of=4)
    """Size of a system call, in KiB."""
    chunks_in_flight: int = Field(default=1, ge=1, le=256)
    """Of one entry being read or written, at once."""
    verify_rate: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)
    """Share of the chunks read whose content is checked."""
    compress_ratio: float = Field(default=1.0, ge=1, le=128, allow_inf_nan=False)
    """How many times smaller compression can make the data."""
    dedup_ratio: float = Field(default=1.0, ge=1, le=1000, allow_inf_nan=False)
    """How many times smaller deduplication can make the data."""
    calibration: NotNegative = 0.3
    """Seconds for each of the two measurements of the harness's own ceiling; 0 leaves them out."""
    entry_scale: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """Fraction of each context's tokens that is stored; 1 for anything to be compared."""
    think_time_scale: NotNegative = 1.0
    """Factor on the users' think times."""
    slos: dict[QosName, Slo] = Field(default_factory=dict)
    """What classes of requests are promised: a run that breaks it fails."""
    write_limit_gb: Positive | None = None
    """What a rank may write to storage in one trial; the window closes when it is spent."""

    @field_validator("storage", mode="before")
    @classmethod
    def _null_is_a_word(cls, value: object) -> object:
        return "null" if value is None else value  # YAML reads the word as nothing

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.arrivals == "closed") != (self.rate is None):
            raise ValueError(
                f"arrivals {self.arrivals} and rate {self.rate}: requests come at a rate with "
                "arrivals constant, poisson or gamma, and these need one"
            )
        if self.rate_end is not None and self.rate is None:
            raise ValueError("rate_end is the end of a ramp that begins at rate: set that too")
        if self.trace_in is not None and self.phase == "decode":
            raise ValueError("phase decode reads what it prepares: it has no use for trace_in")
        if self.storage == "null" and (self.precondition, self.warmup_until) != ("none", "time"):
            raise ValueError("storage null has no bandwidth that could become steady")
        takes_time = (
            self.think_time_scale
            or self.generation_mode != "none"
            or self.arrivals != "closed"
            or self.trace_in is not None
        )
        ends = self.requests is not None or self.stop_after_gb or self.write_limit_gb
        if self.storage == "null" and not takes_time and not ends:
            raise ValueError(
                "storage null with no thinking and no generation: nothing takes time, so it would "
                "never end. Set requests or stop_after_gb"
            )
        tokens = self.rag_document_tokens
        if tokens is not None and not 1 <= tokens[0] <= tokens[1]:
            raise ValueError("rag_document_tokens is [least, most]")
        return self

    @model_validator(mode="after")
    def _model_has_a_geometry(self) -> Self:
        if self.geometry is None and self.model not in MODELS:
            raise ValueError(
                f"unknown model {self.model!r}; accepted: {', '.join(MODELS)}, or one under the "
                f"profile's models. {nearest(self.model, MODELS)}"
            )
        _ = self.bytes_per_token  # raises where the model cannot be divided so
        return self

    @property
    def bytes_per_token(self) -> int:
        """Bytes of key/value data that this rank stores for a token."""
        geometry = self.geometry or MODELS[self.model]
        return geometry.bytes_per_token(self.kv_dtype, self.tensor_parallel)

    @property
    def generation_s_per_token(self) -> float:
        """Seconds that generating one token takes."""
        return GENERATION_S_PER_TOKEN[self.generation_mode]

    @property
    def lanes(self) -> int:
        """Requests that a rank serves at once: no more than it has users."""
        if self.trace_in is not None:
            return self.max_concurrent_allocs
        return min(self.max_concurrent_allocs, self.num_users)

    @property
    def rules(self) -> Rules:
        """How requests become accesses to the cache."""
        return Rules(self.phase, self.decode_reads, self.keyed_by, self.tokens_per_block)

    @property
    def sharing(self) -> Sharing:
        """What users share. Documents and chunks are smaller where a model's tokens are large."""
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
        """How requests come, where they come at a rate; a ramp lasts until the window's end."""
        if self.arrivals == "closed" or self.rate is None:
            return None
        distribution: Distribution = self.arrivals
        ramp_s = self.warmup + self.duration if self.rate_end is not None else 0.0
        return Rate(distribution, self.rate, self.rate_end, ramp_s, self.burstiness)

    @property
    def steady(self) -> Criterion:
        """When bandwidth counts as steady."""
        return Criterion(
            self.steady_window, self.steady_slope_pct / 100, self.steady_deviation_pct / 100
        )

    def entry_bytes(self, tokens: int) -> int:
        """Return the size of an entry or block of so many tokens."""
        return max(1, round(tokens * self.entry_scale)) * self.bytes_per_token
