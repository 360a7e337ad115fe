"""Search for rate-accuracy trade-offs: candidates from a space, trained in banks, their Pareto set kept as one."""

from .job import SearchJob
from .run import SearchResult, run_search
from .space import EarlyStopping, SearchSpace, load_space

__all__ = ["EarlyStopping", "SearchJob", "SearchResult", "SearchSpace", "load_space", "run_search"]
