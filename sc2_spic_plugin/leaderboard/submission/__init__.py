"""Judging a result file from outside: everything that is missing for an entry, each with what to do."""

from .check import Submission, check_submission
from .item import Item

__all__ = ["Item", "Submission", "check_submission"]
