"""In which arithmetic a network learns."""

from __future__ import annotations

import pytest
import torch

from train.config import FitConfig
from train.precision import autocast, resolved


@pytest.mark.parametrize(
    ("asked", "matrix_units", "got"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("bf16", False, torch.bfloat16),
        ("fp32", True, torch.float32),
    ],
)
def test_half_precision_is_taken_by_itself_only_where_it_is_faster(
    asked: str,
    matrix_units: bool,  # noqa: FBT001
    got: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A CPU with AMX multiplies in bf16 unless told otherwise, one without it only when told so."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": matrix_units})
    with autocast(resolved(FitConfig(precision=asked))):  # type: ignore[arg-type]
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == got


@pytest.mark.parametrize(("own_units", "got"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_that_emulates_half_precision_is_not_made_to(
    own_units: bool,  # noqa: FBT001
    got: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torch calls bf16 supported where it is emulated, too; only a GPU with units of its own takes it by itself."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or own_units
    )
    assert resolved(FitConfig(device="cuda")).precision == got
