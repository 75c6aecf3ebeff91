"""The private names of torch that the workbench uses; no other module of it touches one."""

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["TorchDispatchMode"]
