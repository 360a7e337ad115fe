"""Measures what the bottleneck unit and the coder add to the device's work.

Run: python benchmarks/performance/device_side.py [--repeats 60] [--size 224 160] [--cut layer4.2]

ResNet-50 with random weights, batch 1, float32 on the CPU. The front-end alone against `SplitModel.encode_batch`: the
same front-end, the unit's encoder, the range coder and the payload header. The unit has random weights; its tables are
fitted to the symbols of random images, so that the coder has real work.
"""

from timing import machine_line, median, median_ratio, take_turns

# isort: split
import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from sc2_spic_plugin.coding import Payload, pack_payload
from sc2_spic_plugin.models import SplitModel
from sc2_spic_plugin.models.network import build_network


def build(cut: str, size: int, channels: int, stride: int) -> SplitModel:
    """Returns a model whose tables are ready; most of its symbols are zero, as those of trained units are."""
    torch.manual_seed(0)
    network = build_network({"key": "resnet50", "kwargs": {"num_classes": 10}})
    unit = {"latent_channels": channels, "stride": stride, "step": 1.0}
    model = SplitModel(network, cut, {"unit": unit}, input_size=[3, size, size])
    features = torch.cat([model._split_front(image)[0] for image in torch.randn(8, 1, 3, size, size)])
    model.train()
    with torch.no_grad():
        for _ in range(100):  # batch-norm statistics of these features
            model.unit(features)
    model.eval()
    model.symbol_tables.observe(model.unit.encode(features))
    model.update()
    return model


def parts_of(model: SplitModel, image: Tensor) -> dict[str, Callable[[], object]]:
    """Returns the parts of `encode_batch`, each runnable alone."""
    features, _ = model._split_front(image)
    symbols = model.unit.encode(features)
    coder = model.symbol_tables.coder
    code = coder.encode(symbols[0])
    return {
        "unit: encoder and quantiser": lambda: model.unit.encode(features),
        "range coder": lambda: coder.encode(symbols[0]),
        "payload header": lambda: pack_payload(Payload(0, model.default_sizes, code), model.default_sizes),
    }


def report(arguments: argparse.Namespace, size: int) -> None:
    """Prints the overhead at one image size and where it comes from."""
    model = build(arguments.cut, size, arguments.channels, arguments.stride)
    image = torch.randn(1, 3, size, size)
    encoded = model.encode_batch(image)
    functions = {
        "front-end alone": lambda: model._split_front(image),
        "encode_batch": lambda: model.encode_batch(image),
        **parts_of(model, image),
    }
    times = take_turns(functions, arguments.repeats, seconds=0.02, warm_up=3)
    front, whole = times.pop("front-end alone"), times.pop("encode_batch")
    latent = "x".join(map(str, (model.unit.latent_channels, *encoded.latent_size)))
    print(f"\n{size} px, latent {latent}, payload of {len(encoded.payloads[0])} bytes")
    print(f"{'front-end alone':>28} {median(front):9.3f} ms")
    print(f"{'front-end, unit and coder':>28} {median(whole):9.3f} ms")
    ratio, lower, upper = median_ratio(whole, front)
    print(
        f"{'overhead':>28} {100 * (ratio - 1):9.2f} %  "
        f"(quartiles {100 * (lower - 1):.2f} to {100 * (upper - 1):.2f}; target at most 5)"
    )
    for name, values in times.items():
        print(f"{name:>28} {median(values):9.3f} ms {100 * median_ratio(values, front)[0]:6.2f} % of the front-end")


def main() -> None:
    """Prints the overhead at every image size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=60, help="rounds behind each median")
    parser.add_argument("--size", type=int, nargs="+", default=[224, 160], help="image sides in pixels")
    parser.add_argument("--cut", default="layer4.2", help="split point of ResNet-50")
    parser.add_argument("--channels", type=int, default=64, help="latent channels")
    parser.add_argument("--stride", type=int, default=2, help="stride of the unit")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine_line())
    print(f"ResNet-50 cut after {arguments.cut}, batch 1, float32")
    for size in arguments.size:
        report(arguments, size)


if __name__ == "__main__":
    main()
