"""Labels that every data set and every measurement agree on."""

__all__ = ["VOID_LABEL"]

VOID_LABEL = 255
"""Of a mask's pixels that do not count."""
