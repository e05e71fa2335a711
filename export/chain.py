"""A bidirectional LSTM as one chain of linear layers: TFLite unrolls an LSTM, and two directions twice.

Both directions take each step together, the forward one at position t and the backward one at position 8 - t. The
matrix of the states has a block for each. It is the same function, in half as many operators.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from train.model import BiLSTM


class Chain(nn.Module):
    """A BiLSTM's weights in two linear layers: (n, positions, features) -> (n, positions, 2·hidden)."""

    def __init__(self, lstm: BiLSTM) -> None:
        """Copy the weights of both directions."""
        super().__init__()
        self.hidden = lstm.hidden_size
        both = [lstm.all_weights[direction] for direction in (0, 1)]
        (inputs, states, input_bias, state_bias) = zip(*both, strict=True)
        self.read = nn.Linear(lstm.input_size, 8 * self.hidden)
        self.remember = nn.Linear(2 * self.hidden, 8 * self.hidden, bias=False)
        self.read.weight = nn.Parameter(torch.cat(inputs))
        self.read.bias = nn.Parameter(torch.cat(input_bias) + torch.cat(state_bias))
        self.remember.weight = nn.Parameter(torch.block_diag(*states))  # type: ignore[no-untyped-call]

    def forward(self, sequence: Tensor) -> Tensor:
        """States of both directions at each position."""
        forwards, backwards = (read.unbind(1) for read in self.read(sequence).chunk(2, dim=-1))
        state = cell = sequence.new_zeros(len(sequence), 2, self.hidden)
        states = []
        for here, there in zip(forwards, reversed(backwards), strict=True):
            gates = torch.cat([here, there], dim=-1) + self.remember(state.flatten(1))
            i, f, g, o = gates.view(-1, 2, 4, self.hidden).unbind(2)  # torch's order of an LSTM's gates
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            state = o.sigmoid() * cell.tanh()
            states.append(state)
        ahead, back = [state[:, 0] for state in states], [state[:, 1] for state in reversed(states)]
        return torch.cat([torch.stack(ahead, dim=1), torch.stack(back, dim=1)], dim=-1)


def with_chains(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` in which each of its own BiLSTMs is a chain."""
    changed = copy.deepcopy(model)
    for name, part in model.named_children():
        if isinstance(part, BiLSTM):
            setattr(changed, name, Chain(part))
    return changed
