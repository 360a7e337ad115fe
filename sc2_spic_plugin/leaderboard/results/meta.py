"""The provenance block of a result file."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ...errors import DataError, nearest
from .point import METRICS
from .provenance import code_version, collect_environment, collect_versions

__all__ = ["BITS", "SCHEMA_VERSION", "Meta"]

SCHEMA_VERSION = 1
BITS = ("measured", "estimated", "published", "reported")


@dataclass(frozen=True, kw_only=True)
class Meta:
    """Everything needed to measure a file's points again.

    Attributes:
        task: `classification` or `segmentation`.
        dataset: name of the reported data set.
        protocol: name of the protocol.
        network: name of the split network, for example `resnet50`.
        method: key of the method, for example `spic` (see `styles.METHOD_STYLES`).
        samples: images reported.
        network_sha256: digest of the original network's tensors.
        protocol_sha256: digest of the protocol's values.
        cut: module the network is cut at, or None.
        bypassed: whether data reach the output past the cut, uncounted.
        supervision: `supervised`, `unsupervised` or None where nothing is trained.
        code_version: package version with the git commit where there is one.
        versions: package versions.
        environment: Python, platform, processors, threads.
        date: ISO 8601, UTC.
        bits: `measured` (coded and decoded), `estimated`, `published`, or `reported` by somebody else.
        schema_version: version of the file layout.
    """

    task: str
    dataset: str
    protocol: str
    network: str
    method: str
    samples: int | None
    network_sha256: str | None = None
    protocol_sha256: str | None = None
    cut: str | None = None
    bypassed: bool = False
    supervision: str | None = None
    code_version: str
    versions: Mapping[str, str] = field(hash=False)
    environment: Mapping[str, Any] = field(default_factory=dict, hash=False)
    date: str
    bits: str = "measured"
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Checks the values that decide which table a file goes into.

        Raises:
            DataError: an unknown task or kind of bits, or a name that is empty.
        """
        if self.task not in METRICS:
            raise DataError(f"Unknown task `{self.task}`. {nearest(str(self.task), METRICS)}")
        if self.bits not in BITS:
            raise DataError(f"Unknown `bits` value `{self.bits}`. {nearest(str(self.bits), BITS)}")
        for name in ("dataset", "protocol", "network", "method"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise DataError(f"meta.{name} must be a non-empty text, got {getattr(self, name)!r}.")
        for name in ("cut", "supervision", "network_sha256", "protocol_sha256"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise DataError(f"meta.{name} must be a text, or null where there is none, got {value!r}.")
        for name in ("code_version", "date"):
            if not isinstance(getattr(self, name), str):
                raise DataError(f"meta.{name} must be a text, got {getattr(self, name)!r}.")
        for name in ("versions", "environment"):
            if not isinstance(getattr(self, name), Mapping):
                raise DataError(f"meta.{name} must be a mapping, got {getattr(self, name)!r}.")
        samples = self.samples
        if samples is not None and (isinstance(samples, bool) or not isinstance(samples, int) or samples < 1):
            raise DataError(f"meta.samples must be a number of images, or null, got {samples!r}.")
        if not isinstance(self.bypassed, bool):
            raise DataError(f"meta.bypassed must be true or false, got {self.bypassed!r}.")

    @property
    def metric(self) -> str:
        """Name of the accuracy column: `top1` or `miou`."""
        return METRICS[self.task]

    @classmethod
    def collect(cls, **values: Any) -> "Meta":
        """Makes the block for a measurement done here and now; fills in versions, environment and date.

        Args:
            **values: the other fields of this class.
        """
        here = {
            "code_version": code_version(),
            "versions": collect_versions(),
            "environment": collect_environment(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return cls(**(here | values))

    def differences(self, other: "Meta") -> list[str]:
        """Returns the fields, the date apart, in which two blocks differ, as `name: mine, theirs`."""
        names = [item.name for item in dataclasses.fields(self) if item.name != "date"]
        return [
            f"{name}: {getattr(self, name)!r}, {getattr(other, name)!r}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]
