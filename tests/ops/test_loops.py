"""Loops wait for their first call, and bring the loops that they call along."""

import subprocess
import sys

import pytest

from hyoid.ops.loops import Loop, compiled, inlined


@inlined
def _doubled(x):
    return 2 * x


@compiled
def _sum_of_doubled(values):
    total = 0.0
    for value in values:
        total += _doubled(value)
    return total


def test_a_loop_is_compiled_when_it_is_called_with_those_it_calls():
    assert isinstance(_doubled, Loop)
    assert _sum_of_doubled((1.0, 2.0)) == 6.0
    assert not isinstance(_doubled, Loop) and _doubled(2.0) == 4.0


def test_a_loop_keeps_name_and_docstring():
    def one():
        """The number one."""
        return 1

    loop = compiled(one)
    assert (loop.__name__, loop.__doc__) == ("one", "The number one.") and loop() == 1


@pytest.mark.slow
def test_what_predict_imports_leaves_out_what_it_may_not_need():
    heavy = "{'numba', 'scipy', 'matplotlib', 'nibabel', 'pydicom', 'lightning_fabric', 'onnx', 'torch._dynamo'}"
    code = (
        "import sys, hyoid.cli, hyoid.experiment, hyoid.datasets.dataset, hyoid.planning.budget; "
        "import hyoid.workflow.answers;"
        f"found = {heavy} & sys.modules.keys(); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
