"""Several devices that train one net together, a process for each; the first one decides.

The process in which training was begun keeps the clock, validates, and writes checkpoints and curves, as alone. The
others draw samples of their own, take part in every step, and do what they are told: the progress of the training comes
before each step, by a channel of the processors, so that no GPU waits. They end when the first one does, however it
does; Ctrl-C and SIGTERM are for the first one.

A batch is as many times larger as there are devices, and sample i of it belongs to device i modulo their number. So two
devices do what one does with twice the batch, but for norms and losses that look at a batch as a whole.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch

from ..core.errors import ConfigError, HyoidError
from ..core.extensions import loaded_extensions, run_extension
from .quiet import deaf

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20.0
"""How long others may take to end after the last step."""


class Ended(Exception):  # noqa: N818
    """The first process has ended the training."""


@dataclass
class Ranks:
    """Which of how many processes this one is.

    Attributes:
        rank: Number of this process; the first decides.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1
    _channel: Any = field(default=None, init=False)

    def fabric(self, accelerator: str, precision: Any) -> Any:
        """The Fabric of this process, which waits for the others when there are some."""
        from lightning_fabric import Fabric

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells users what the plan says already
        if self.count == 1:
            kind, _, index = accelerator.partition(":")
            return Fabric(accelerator=kind, devices=[int(index)] if index else 1, precision=precision)
        from lightning_fabric.plugins.environments import LightningEnvironment

        environment = LightningEnvironment()
        fabric = Fabric(
            accelerator=accelerator, devices=self.count, precision=precision, strategy="ddp", plugins=[environment]
        )
        fabric.launch()
        # validation lies between two steps and may take long
        self._channel = torch.distributed.new_group(backend="gloo", timeout=timedelta(days=7))
        return fabric

    def agreed(self, number: float) -> float:
        """The number of the first process, in all.

        Raises:
            Ended: In the others, when there is no further step.
        """
        if self.count == 1:
            return number
        sent = torch.tensor([1.0, number], dtype=torch.float64)
        torch.distributed.broadcast(sent, 0, group=self._channel)
        if sent[0] == 0:
            raise Ended
        return sent[1].item()

    def end(self) -> None:
        """Tell the others that there is no further step."""
        if self.count > 1 and self._channel is not None:
            torch.distributed.broadcast(torch.zeros(2, dtype=torch.float64), 0, group=self._channel)


@contextmanager
def together(
    count: int, accelerator: str, follow: Callable[..., object], arguments: tuple[Any, ...]
) -> Iterator[Ranks]:
    """Inside the block there are so many processes; this one is the first.

    Args:
        count: Devices.
        accelerator: What they are.
        follow: What the others do, a function of a module, called with their Ranks and the arguments.
        arguments: Sent to them.

    Raises:
        ConfigError: When there are fewer devices, or a single one is named.
        HyoidError: When one of the others failed.
    """
    if count == 1:
        yield Ranks()
        return
    if ":" in accelerator:
        raise ConfigError(f"training.devices is {count}, but device is {accelerator} alone; set it to cuda, or auto.")
    there = torch.cuda.device_count()
    if accelerator != "cpu" and there < count:
        raise ConfigError(f"training.devices is {count}, but this machine has {there} CUDA devices; lower it.")
    port = _free_port()
    context = torch.multiprocessing.get_context("spawn")
    work = torch.get_num_threads(), loaded_extensions(), pickle.dumps((follow, arguments))
    ready = [context.Event() for _ in range(1, count)]
    others = [
        context.Process(target=_follow, args=(rank, count, port, ready[rank - 1], *work), daemon=True)
        for rank in range(1, count)
    ]
    ranks = Ranks(0, count)
    with _environment(0, port):
        with deaf():
            for other in others:
                other.start()
        try:
            for other, event in zip(others, ready, strict=True):
                while not event.wait(0.2):
                    if not other.is_alive():
                        raise HyoidError("A process for a further device did not start.")
            yield ranks
            ranks.end()
            for other in others:
                other.join(PATIENCE_SECONDS)
        except HyoidError:
            raise  # it says what is wrong, for the others too
        except Exception as error:
            for other in others:
                other.join(1.0)
            failed = [rank for rank, other in enumerate(others, 1) if other.exitcode not in (None, 0)]
            if failed:
                raise HyoidError(f"Training stopped: the process of device {failed[0]} failed, see above.") from error
            raise
        finally:
            for other in others:
                if other.is_alive():
                    other.kill()
                other.join()
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


def _follow(
    rank: int,
    count: int,
    port: int,
    ready: Any,
    threads: int,
    extensions: dict[str, bytes],
    work: bytes,
) -> None:
    """What another process does; parts of extensions can only be read once these are loaded."""
    torch.set_num_threads(threads)
    for path, source in extensions.items():
        run_extension(path, source)
    follow, arguments = pickle.loads(work)
    ready.set()
    with _environment(rank, port):
        follow(Ranks(rank, count), *arguments)
        torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


@contextmanager
def _environment(rank: int, port: int) -> Iterator[None]:
    """Inside the block, what Fabric reads to know which process this is; it then starts none itself."""
    told = {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "MASTER_ADDR": HOST, "MASTER_PORT": str(port)}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        with warnings.catch_warnings():
            # maps are channels-last and weights are not: gradients are copied once more, a small part of a step
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
