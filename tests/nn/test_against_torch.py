"""Recurrent layers, the whole detector and the UNet against PyTorch's, outputs and gradients; run by `make bench`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nids_jax.diffusion.samplers import DPMpp2M
from nids_jax.diffusion.schedule import Schedule
from nids_jax.nn.detector import RecurrentConfig, RecurrentNetwork
from nids_jax.nn.layers import initialise
from nids_jax.nn.recurrent import Weights, recurrence
from nids_jax.nn.unet1d import UNet1d, UNetConfig

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `make bench` installs it")

HIDDEN, FEATURES = 6, 5


def _side(layer, suffix: str, gates: int) -> Weights:
    """PyTorch's parameters in our layout: transposed, and one bias where its two are only ever added up."""
    w, u, b, s = (
        getattr(layer, f"{name}_l0{suffix}").detach().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h = u.shape[1]
    if gates == 4:
        return Weights(*map(jnp.asarray, (w.T, u.T, b + s, np.zeros(h, np.float32))))
    return Weights(*map(jnp.asarray, (w.T, u.T, b + np.r_[s[: 2 * h], np.zeros(h, np.float32)], s[2 * h :])))


@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("lstm", 4)])
def test_layer_agrees_with_pytorch(cell: str, gates: int):
    torch.manual_seed(0)
    layer = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](FEATURES, HIDDEN, bidirectional=True)
    x = torch.randn(23, 3, FEATURES, requires_grad=True)
    pull = torch.randn(23, 3, 2 * HIDDEN)
    y, _ = layer(x)
    (pull * y).sum().backward()

    def loss(x, weights):
        y: Any = recurrence(x, weights, cell, True)
        return jnp.vdot(jnp.asarray(pull.numpy()), y), y

    weights = (_side(layer, "", gates), _side(layer, "_reverse", gates))
    gradient = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
    (_, ours), (dx, dweights) = gradient(jnp.asarray(x.detach().numpy()), weights)
    np.testing.assert_allclose(ours, y.detach().numpy(), atol=1e-5)
    assert x.grad is not None
    np.testing.assert_allclose(dx, x.grad.numpy(), atol=1e-5)
    for own, suffix in zip(dweights, ("", "_reverse"), strict=True):
        for found, name in (
            (own.input_kernel.T, "weight_ih"),
            (own.state_kernel.T, "weight_hh"),
            (own.input_bias, "bias_ih"),
        ):
            wanted = getattr(layer, f"{name}_l0{suffix}").grad.numpy()
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
        if gates == 3:
            wanted = getattr(layer, f"bias_hh_l0{suffix}").grad.numpy()[2 * HIDDEN :]
            np.testing.assert_allclose(own.state_bias, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def test_the_timed_networks_are_the_same():
    from benchmarks.rivals.torch_detector import CNNBiGRU

    config = RecurrentConfig()
    torch.manual_seed(1)
    theirs = CNNBiGRU(config, 4).eval()
    first, second = theirs.convolutions[0], theirs.convolutions[2]
    network: Any = initialise(lambda init: RecurrentNetwork(config, 4, init=init), jax.random.key(0))
    for ours, layer in zip(network.convolutions, (first, second), strict=True):
        ours.kernel[...] = jnp.asarray(layer.weight.detach().numpy().transpose(2, 1, 0))
        ours.bias[...] = jnp.asarray(layer.bias.detach().numpy())
    for ours, layer in zip(network.layers, (theirs.first, theirs.second), strict=True):
        first, second = _side(layer, "", 3), _side(layer, "_reverse", 3)
        parameters = (ours.input_kernel, ours.state_kernel, ours.input_bias, ours.candidate_bias)
        for parameter, *sides in zip(parameters, first, second, strict=True):
            parameter[...] = jnp.stack(sides)
    network.head.kernel[...] = jnp.asarray(theirs.head.weight.detach().numpy().T)
    network.head.bias[...] = jnp.asarray(theirs.head.bias.detach().numpy())
    x = np.random.default_rng(0).normal(size=(8, 77)).astype(np.float32)
    graph, state = nnx.split(network)
    ours = jax.jit(lambda state, x: nnx.merge(graph, state)(x))(state, x)
    with torch.inference_mode():
        np.testing.assert_allclose(ours, theirs(torch.from_numpy(x)).numpy(), atol=1e-5)


def test_the_timed_unets_are_the_same():
    from benchmarks.rivals import torch_cddpm

    config = UNetConfig(widths=(4, 6, 8, 10), deep=12, embedding=16)
    torch.manual_seed(1)
    theirs = torch_cddpm.UNet1d(config, 3)
    for module in theirs.modules():
        if isinstance(module, torch.nn.GroupNorm):  # else all ones and zeros
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
    network: Any = initialise(lambda init: UNet1d(config, 3, init=init), jax.random.key(0))

    def copy(ours: Any, layer: Any) -> None:
        if isinstance(layer, torch.nn.GroupNorm):
            ours.scale[...] = jnp.asarray(layer.weight.detach().numpy())
        elif isinstance(layer, torch.nn.Linear):
            ours.kernel[...] = jnp.asarray(layer.weight.detach().numpy().T)
        else:
            ours.kernel[...] = jnp.asarray(layer.weight.detach().numpy().transpose(2, 1, 0))
        ours.bias[...] = jnp.asarray(layer.bias.detach().numpy())

    def copy_double(ours: Any, double: Any) -> None:
        first, first_norm, _, second, second_norm = double.layers
        copy(ours.first, first)
        copy(ours.first_norm, first_norm)
        copy(ours.second, second)
        copy(ours.second_norm, second_norm)

    for ours, stage in zip([*network.down, *network.up], [*theirs.down, *theirs.up], strict=True):
        copy_double(ours.same, stage.same)
        copy_double(ours.change, stage.change)
        copy(ours.project, stage.project)
    for ours, double in zip([network.inputs, *network.deep], [theirs.inputs, *theirs.deep], strict=True):
        copy_double(ours, double)
    copy(network.outputs, theirs.outputs)
    network.labels[...] = jnp.asarray(theirs.labels.weight.detach().numpy())
    x: Any = np.random.default_rng(0).normal(size=(5, 27)).astype(np.float32)
    t, labels = np.array([1, 40, 500, 999, 1000]), np.array([0, 1, 2, 3, 0])
    graph, state = nnx.split(network)
    pull = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)

    def pulled(state: Any, x: Any) -> Any:
        out = nnx.merge(graph, state)(x, t, labels)
        return jnp.sum(pull * out), out

    (_, ours), (dstate, dx) = jax.jit(jax.value_and_grad(pulled, (0, 1), has_aux=True))(state, x)
    x = torch.from_numpy(x).requires_grad_()
    wanted = theirs(x, torch.from_numpy(t).float(), torch.from_numpy(labels))
    np.testing.assert_allclose(ours, wanted.detach().numpy(), atol=2e-4)
    (wanted * torch.from_numpy(pull)).sum().backward()
    convolution, norm = theirs.inputs.layers[:2]
    assert x.grad is not None
    for found, gradient in (
        (dx, x.grad),
        (dstate["inputs"]["first"]["kernel"][...].T, convolution.weight.grad),
        (dstate["inputs"]["first"]["bias"][...], convolution.bias.grad),
        (dstate["inputs"]["first_norm"]["scale"][...], norm.weight.grad),
        (dstate["inputs"]["first_norm"]["bias"][...], norm.bias.grad),
    ):
        np.testing.assert_allclose(found, gradient.numpy(), rtol=1e-3, atol=1e-3)


def test_the_timed_reverse_processes_are_ours():
    """Both loops bring an exact model of one point to that point."""
    from benchmarks.rivals import torch_cddpm

    schedule, point = Schedule(steps=100), torch.tensor([0.5, -0.25, 0.0])
    alpha_bar = torch.tensor(np.interp(np.linspace(0, 100, 1001), np.arange(101), schedule.alpha_bar))

    def predict(x, t, labels):
        a = alpha_bar[(10 * t).round().long()][:, None].float()
        return (x - a.sqrt() * point) / (1 - a).sqrt()

    made = torch_cddpm.ancestral(predict, schedule, [0] * 4, 3, 100)
    np.testing.assert_allclose(made.numpy(), np.tile(point.numpy(), (4, 1)), atol=1e-3)
    made = torch_cddpm.scanned(predict, schedule, DPMpp2M(steps=12), [0] * 4, 3)
    np.testing.assert_allclose(made.numpy(), np.tile(point.numpy(), (4, 1)), atol=1e-2)
