"""The same work in PyTorch: the networks of `benchmarks.rivals`, eager or through `torch.compile`, on its device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.gpu.ours import Sizes, masked
from benchmarks.speed.stopwatch import baseline
from nids_jax.generators import gan
from nids_jax.runtime import cores

Run = Callable[[int], object]  # so many steps


class Torch:
    """PyTorch on the kind of device that JAX computes on."""

    def __init__(self, platform: str):
        """
        Args:
          platform: JAX's name of it, such as `cpu` or `gpu`.

        Raises:
          LookupError: PyTorch is not installed, or sees no such device.
        """
        if baseline("torch_detector", "PyTorch") is None:
            raise LookupError("PyTorch is not installed")
        import torch  # pyright: ignore[reportMissingImports] (where `make bench-gpu` installs it)

        self._torch: Any = torch
        self.device = "cpu" if platform == "cpu" else "cuda"
        if self.device == "cuda" and not torch.cuda.is_available():
            raise LookupError(f"PyTorch {torch.__version__} sees no GPU")
        torch.set_num_threads(cores())

    def run(self, program: str, sizes: Sizes, *, compiled: bool) -> Run:
        """The program's steps in PyTorch; nothing is compiled before the first of them."""
        work = _WORK[program](self, sizes, compiled)

        def run(steps: int) -> object:
            self._set_precision(sizes.precision)
            with self._casting(sizes.precision):
                done = work(steps)
            if self.device == "cuda":
                self._torch.cuda.synchronize()
            return done

        return run

    def release(self) -> None:
        """Give unused memory back to the device."""
        self._torch.compiler.reset()
        if self.device == "cuda":
            self._torch.cuda.empty_cache()

    def compile(self, network: Any) -> Any:
        """What `torch.compile` makes of a network whose batches all have one size."""
        return self._torch.compile(network, dynamic=False)

    def _set_precision(self, precision: str) -> None:
        self._torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
        self._torch.backends.cudnn.allow_tf32 = precision != "float32"

    def _casting(self, precision: str) -> AbstractContextManager[Any]:
        # Without its cache of weights, which a training within the block would outdate.
        return self._torch.autocast(
            self.device, dtype=self._torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False
        )


def _cddpm(torch: Torch, sizes: Sizes, compiled: bool) -> tuple[Any, Any, Any]:
    rival: Any = baseline("torch_cddpm", "PyTorch")
    network = rival.UNet1d(sizes.preset.generators["cddpm"].network, sizes.classes).to(torch.device)
    return rival, network, torch.compile(network) if compiled else network


def _cddpm_training(torch: Torch, sizes: Sizes, compiled: bool) -> Run:
    rival, network, predict = _cddpm(torch, sizes, compiled)
    config = sizes.preset.generators["cddpm"]
    return rival.training(
        network,
        config.schedule,
        *sizes.rows(),
        batch=sizes.batch,
        label_dropout=config.label_dropout,
        predict=predict,
    )


def _cddpm_sampling(torch: Torch, sizes: Sizes, compiled: bool) -> Run:
    rival, _, predict = _cddpm(torch, sizes, compiled)
    config = sizes.preset.generators["cddpm"]
    labels = [row % sizes.classes for row in range(sizes.batch)]
    return lambda _: rival.scanned(predict, config.schedule, config.sampler, labels, sizes.features, torch.device)


def _detector(which: int) -> Callable[[Torch, Sizes, bool], Run]:
    def work(torch: Torch, sizes: Sizes, compiled: bool) -> Run:
        rival: Any = baseline("torch_detector", "PyTorch")
        x, y = sizes.rows()
        rows = slice(None) if which == 0 else slice(sizes.batch)
        functions = rival.build(
            sizes.preset.detector.network,
            sizes.classes,
            x[rows],
            y[rows],
            threads=cores(),
            batch=sizes.batch,
            device=torch.device,
            compiled=torch.compile if compiled else None,
        )
        if which == 0:
            return functions[0]
        given = masked(sizes) if which == 2 else ()
        return lambda _: functions[which](*given)

    return work


def _gan(method: gan.Method) -> Callable[[Torch, Sizes, bool], Run]:
    def work(torch: Torch, sizes: Sizes, compiled: bool) -> Run:
        rival: Any = baseline("torch_gan", "PyTorch")

        def compile_parts(networks: Any) -> None:
            for name in ("generator", "critic", "encoder"):
                if getattr(networks, name) is not None:
                    getattr(networks, name).compile(dynamic=False)

        train = rival.build(
            sizes.adversarial(method),
            *sizes.rows(),
            batch=sizes.batch,
            critic_steps=sizes.preset.generators["gan"].critic_steps,
            device=torch.device,
            compiled=compile_parts if compiled else None,
        )
        return lambda steps: train(steps, cores())

    return work


_WORK: dict[str, Callable[[Torch, Sizes, bool], Run]] = {
    "CDDPM training": _cddpm_training,
    "CDDPM sampling": _cddpm_sampling,
    "CNN-BiGRU training": _detector(0),
    "CNN-BiGRU inference": _detector(1),
    "WCGAN-GP training": _gan("wcgan_gp"),
    "VAE-WGAN-GP training": _gan("vae_wgan_gp"),
    "SHAP masked batches": _detector(2),
}
