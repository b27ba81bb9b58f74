"""Every jitted program lowers for CUDA and TPU: nothing that only CPUs have, no float64, no call back to the host."""

import re

import pytest

from benchmarks.programs import programs

# Custom calls that each platform has: JAX's own random bits, shardings, and sorting or selection of XLA.
KNOWN = re.compile(
    r"Sharding|SPMD.*|cu_threefry2x32.*|annotate_device_placement|mhlo\..*|ApproxTopK|TopK|shape_assertion"
)
PROGRAMS = programs("demo", 8, features=9, classes=3)


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_it_lowers_for_accelerators(program):
    for platform in ("cuda", "tpu"):
        text = program.exported([platform])
        assert "func.func public @main" in text
        assert "f64" not in text
        called = set(re.findall(r"custom_call @([\w.]+)", text)) | set(
            re.findall(r'call_target_name = "([^"]+)"', text)
        )
        assert not {name for name in called if not KNOWN.fullmatch(name)}, called


def test_all_kinds_of_programs_are_there():
    names = [program.name for program in PROGRAMS]
    assert len(set(names)) == len(names) > 25
    for part in ("CDDPM, training", "CDDPM, sampling, ddpm", "vae_wgan_gp, training", "cnn_bigru, inference"):
        assert part in names


def test_a_call_to_the_host_is_found():
    """The check itself can fail."""
    import jax
    import jax.numpy as jnp

    def told(x):
        jax.debug.callback(lambda value: None, x)
        return x

    text = jax.jit(told).lower(jax.ShapeDtypeStruct((2,), jnp.float32)).as_text()
    called = set(re.findall(r"custom_call @([\w.]+)", text))
    assert any(not KNOWN.fullmatch(name) for name in called), text
