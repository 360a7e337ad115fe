"""The feature store: front-end outputs of augmented views of the training images, computed once and kept on disk."""

from .building import CONSENT_BYTES, StorePlan, build_store, gigabytes, plan_store, subset
from .carrying import EarlierStore
from .description import Part, StoreDescription
from .reading import FeatureStore

__all__ = [
    "CONSENT_BYTES",
    "EarlierStore",
    "FeatureStore",
    "Part",
    "StoreDescription",
    "StorePlan",
    "build_store",
    "gigabytes",
    "plan_store",
    "subset",
]
