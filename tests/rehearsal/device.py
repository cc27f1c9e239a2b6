"""A GPU to rehearse on: where there is none, a device that looks like one and holds no numbers.

Within ``device.step(name)`` every operator that reaches the device is counted:

    kernels  operators that compute or copy on the device (an attention counts as one, as on a GPU). Views, allocations,
             copies that do not block and questions about a tensor's form do not count.
    reads    results brought to the host, which waits for the device: `.item()`, `if tensor:`, `.tolist()`, `.cpu()`,
             and operators whose result has a shape that depends on numbers (a boolean index).
    copies   blocking copies to the device: of Python lists, of CPU index tensors, of anything that is not in pinned
             memory (`Device.pin`) or not moved with non_blocking=True.

A tensor of the CPU where one of the device is meant is an error in torch itself, of fake tensors too. On a real GPU the
same operators are counted, and torch's own warnings of waits as well.
"""

import contextlib
import ctypes
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import transformers.masking_utils
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data._utils.pin_memory import pin_memory

from modules.training.logs import progress
from tests.kit.paths import ROOT

_aten = torch.ops.aten
_FREE = {  # of torch's operators that are no views: they compute nothing
    *(torch.ops.prim.device.default, _aten.lift_fresh.default, _aten.is_pinned.default, _aten._unsafe_view.default),
    *(_aten.empty.memory_format, _aten.empty_strided.default, _aten.empty_like.default, _aten.new_empty.default),
    *(_aten.new_empty_strided.default, _aten.detach_.default, _aten.set_.source_Storage),
}
_READS = {_aten._local_scalar_dense.default, _aten.nonzero.default, _aten.masked_select.default}
_READS |= {_aten.repeat_interleave.Tensor, _aten.bincount.default, _aten._unique2.default, _aten.equal.default}
_COPIES = {_aten._to_copy.default, _aten.copy_.default}
_INDEXING = {_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default, _aten._index_put_impl_.default}


@dataclass
class Step:
    """Counts of what a step did on the device; reads and copies by where in the code."""

    name: str
    kernels: int = 0
    reads: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    waits: list[str] = field(default_factory=list)  # where a real GPU was waited for, as torch finds

    def check(self, kernels: int, reads: int = 0, copies: int = 0) -> None:
        """Fails when the step did more than this."""
        print(f"{self.name:50}{self.kernels:8,} kernels{self.reads.total():6} reads{self.copies.total():6} copies")
        assert self.reads.total() <= reads, f"{self.name} waits for the device: {self.reads.most_common()}"
        assert self.copies.total() <= copies, f"{self.name} copies from pageable memory: {self.copies.most_common()}"
        assert len(self.waits) <= reads + copies, f"{self.name} waits for the device: {self.waits}"
        assert self.kernels <= kernels, f"{self.name} has {self.kernels} kernels, more than its budget of {kernels}"


class Device(TorchDispatchMode):
    """What `gpu` gives; `device` is the torch device.

    Counts operators for the step that is running; what the host computes with its own tensors stays real.
    """

    pin = staticmethod(pin_memory)  # a batch in pinned memory of the host, as a data loader gives it

    def __init__(self):
        super().__init__()
        self.device, self.is_real = torch.device("cuda", 0), torch.cuda.is_available()
        self.counted: Step | None = None

    def place(self, value: Any) -> Any:
        """A tensor, a module, or what lists, tuples and dicts hold of them, on the device."""
        return tree_map(lambda own: own.to(self.device) if isinstance(own, Tensor | torch.nn.Module) else own, value)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Counts what is done until it is left."""
        mode = torch.cuda.set_sync_debug_mode if self.is_real else lambda _: None
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            mode("warn")
            with mock.patch.object(self, "counted", Step(name)):
                yield (step := self.counted)
            mode("default")
        step.waits = [f"{one.filename}:{one.lineno}" for one in said if "synchroniz" in str(one.message)]

    def uncounted(self) -> contextlib.AbstractContextManager:
        return mock.patch.object(self, "counted", None)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if torch.is_inference_mode_enabled() and func.namespace == "aten" and func._can_decompose():
            with self:  # in inference mode operators come here before they are taken apart
                return func.decompose(*args, **kwargs)
        if getattr(kwargs.get("device"), "type", None) == "meta":
            kwargs["device"] = torch.device("cuda", 0)  # what torch without CUDA makes of "cuda" without a number
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        to_device = _type_of(kwargs.get("device")) == "cuda"
        on_device = to_device or any(tensor.device.type == "cuda" for tensor in given)
        if on_device and self.counted is not None:
            self._count(func, given, args, kwargs)
        if any(isinstance(tensor, FakeTensor) for tensor in given) or on_device:
            if func is _aten._local_scalar_dense.default and isinstance(args[0], FakeTensor):
                return _numpy(args[0], force=True).item()
            if func is _aten.index.Tensor and any(index is not None and index.dtype == torch.bool for index in args[1]):
                return args[0].flatten()  # as if all were chosen
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)

    def _count(self, func, given, args, kwargs) -> None:
        if func in _FREE or func.is_view:
            return
        target = _type_of(kwargs.get("device") or (args[0] if func is _aten.copy_.default else None))
        from_host = [tensor for tensor in given if tensor.device.type == "cpu" and tensor is not args[0]]
        if func in _COPIES:
            source = args[0] if func is _aten._to_copy.default else args[1]
            from_host = [source] if source.device.type == "cpu" else []
        chosen_by_mask = func in _INDEXING and any(tensor.dtype == torch.bool for tensor in given[1:])
        non_blocking = kwargs.get("non_blocking", len(args) > 2 and args[2])
        if func in _READS or target == "cpu" or chosen_by_mask:
            self.counted.reads[_place()] += 1
        elif not from_host or func not in {*_INDEXING, *_COPIES}:
            self.counted.kernels += 1
        elif func in _INDEXING or not (non_blocking and _is_pinned(source)):
            self.counted.copies[_place()] += 1


@contextlib.contextmanager
def gpu() -> Iterator[Device]:
    """The GPU that torch sees, or one without numbers."""
    device = Device()
    with contextlib.ExitStack() as stack:
        # The bar shows new numbers when some seconds have passed.
        stack.enter_context(mock.patch.object(progress, "time", mock.Mock(monotonic=lambda: 0.0)))
        if not device.is_real:
            for target, name, stand_in in (
                (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
                # transformers takes fake tensors for the tracing of a graph, in which it asks for no number.
                (transformers.masking_utils, "is_tracing", lambda *_: False),
                (Tensor, "pin_memory", _pin),
                (FakeTensor, "numpy", _numpy),
                (FakeTensor, "tolist", lambda tensor: _numpy(tensor.cpu()).tolist()),
                (torch.autograd, "grad", _gradients),
                (torch.cuda, "synchronize", lambda *_: None),
                (torch.cuda, "mem_get_info", lambda *_: (20 << 30, 24 << 30)),
            ):
                stack.enter_context(mock.patch.object(target, name, stand_in))
            _let_tensors_be_of_cuda()
            torch.__future__.set_overwrite_module_params_on_conversion(True)
            stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
            stack.enter_context(torch.autograd.set_multithreading_enabled(False))
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(device)
        stack.enter_context(_OneAttention(device))
        yield device


class _OneAttention(TorchFunctionMode):
    """Keeps an attention in one piece: torch without CUDA would take it apart."""

    def __init__(self, device: Device):
        super().__init__()
        self.device = device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not torch.nn.functional.scaled_dot_product_attention or self.device.counted is None:
            return func(*args, **kwargs)
        self.device.counted.kernels += 1
        with self.device.uncounted():
            # Heads side by side, as CUDA leaves them.
            return func(*args, **kwargs).transpose(1, 2).contiguous().transpose(1, 2)


def _type_of(device: Any) -> str | None:
    if isinstance(device, Tensor):
        device = device.device
    return None if device is None else torch.device(device).type


def _pin(tensor: Tensor, *_: Any) -> Tensor:
    pinned = tensor.clone()
    pinned.is_pinned_here = True
    return pinned


def _is_pinned(tensor: Tensor) -> bool:
    base = tensor if tensor._base is None else tensor._base
    return getattr(base, "is_pinned_here", False) or (torch.cuda.is_available() and tensor.is_pinned())


def _numpy(tensor: FakeTensor, *, force: bool = False) -> np.ndarray:
    """What `Tensor.numpy` does, with ones for numbers."""
    if tensor.device.type != "cpu" and not force:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")
    kind = float if tensor.is_floating_point() else bool if tensor.dtype == torch.bool else int
    return np.ones(tensor.shape, kind)


def _gradients(outputs: Any, inputs: Any, *_: Any, **__: Any) -> tuple[Tensor, ...]:
    """What `torch.autograd.grad` does, which asks a driver for streams."""
    return tuple(torch.empty_like(tensor) for tensor in inputs)


def _place() -> str:
    """The innermost line of this repository that is running."""
    others = ("site-packages", __file__)  # an environment may lie in the root
    stack = [own for own in traceback.extract_stack() if not any(part in own.filename for part in others)]
    ours = [own for own in stack if ROOT in Path(own.filename).parents]
    return f"{ours[-1].filename}:{ours[-1].lineno} {ours[-1].line}"


def _let_tensors_be_of_cuda() -> None:
    """Autograd asks a device for its current stream. Torch without CUDA has nobody to answer; a stand-in for devices
    that have no streams does.
    """
    if torch.backends.cuda.is_built():
        return  # fake tensors see to it
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    registry = (ctypes.c_void_p * 22).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    cuda, meta = 1, 14  # c10::DeviceType
    registry[cuda] = registry[cuda] or registry[meta]
