"""The loss of a process as its part of the loss of the global batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ...ops.ranks import sum_in_place

__all__ = ["weighted_by_share"]


@contextmanager
def weighted_by_share(criterion: Any, share: float, targets: Any) -> Iterator[None]:
    """Makes a criterion such that `share` times its value, summed over processes, is that of the global batch.

    Terms that are means over images are so already. Inside, terms that are sums over images have their weight divided
    by the share, and cross-entropies with void pixels or class weights count by their labels in the global batch. Terms
    that compare the images of a batch with one another see those of their process only.

    Args:
        criterion: torchdistill's; only the terms of its `term_dict` are looked at.
        share: of this process in the images of the batch.
        targets: labels of this process's images.
    """
    terms = getattr(criterion, "term_dict", None)
    if share == 1.0 or not terms:
        yield
        return
    kept, summed = dict(terms), []
    try:
        for name, (term, weight) in kept.items():
            labelled = _counted_by_labels(term)
            if labelled is not None:
                total = _label_weight(labelled, targets)
                sum_in_place([total])
                labelled.reduction = "sum"
                summed.append(labelled)
                terms[name] = (term, weight / (share * total))
            elif _is_sum(term):
                terms[name] = (term, weight / share)
        yield
    finally:
        terms.update(kept)
        for loss in summed:
            loss.reduction = "mean"


@contextmanager
def sums_as_means(criterion: Any, images: int) -> Iterator[None]:
    """Makes the terms of a criterion that are sums over images means over them, whatever the size of the batch.

    Args:
        criterion: torchdistill's; only the terms of its `term_dict` are looked at.
        images: in the batch.
    """
    terms = getattr(criterion, "term_dict", None) or {}
    kept = dict(terms)
    try:
        terms.update({name: (term, weight / images) for name, (term, weight) in kept.items() if _is_sum(term)})
        yield
    finally:
        terms.update(kept)


def _is_sum(term: nn.Module) -> bool:
    return any(getattr(module, "reduction", None) == "sum" for module in term.modules())


def _counted_by_labels(term: nn.Module) -> Any:
    """Returns the loss whose mean is not over images but over labels that count, or by what they count; else None."""
    loss = getattr(term, "low_level_loss", None)
    if not isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss) or not getattr(term, "uses_label", False):
        return None
    return loss if loss.reduction == "mean" and (loss.ignore_index >= 0 or loss.weight is not None) else None


def _label_weight(loss: Any, targets: Tensor) -> Tensor:
    """Returns what a mean is divided by: the labels that count, each by the weight of its class."""
    counted = targets[targets != loss.ignore_index]
    weights = counted.new_ones(()).expand_as(counted) if loss.weight is None else loss.weight[counted]
    return weights.sum().float()
