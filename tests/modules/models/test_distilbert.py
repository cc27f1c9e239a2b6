"""The answer encoder's DistilBERT against that of transformers, whose weights it takes."""

import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel

from modules.models.distilbert import DistilBert


@pytest.mark.parametrize("checkpointing", [False, True])
def test_states_and_gradients(checkpointing):
    torch.manual_seed(0)
    own = DistilBert(40, 24, 12, num_layers=2, num_heads=4, inner_width=32, dropout=0.3)
    own.grad_checkpointing = checkpointing
    sizes = {"vocab_size": 40, "max_position_embeddings": 12, "dim": 24, "n_layers": 2, "n_heads": 4, "hidden_dim": 32}
    expected = DistilBertModel(DistilBertConfig(**sizes, dropout=0.3, attention_dropout=0.3))
    own.load_state_dict(expected.state_dict())
    ids, mask = torch.randint(1, 40, (3, 7)), torch.arange(7) < torch.tensor([[7], [4], [1]])
    states = []
    for encode in (lambda: own(ids, mask), lambda: expected(ids, mask.long()).last_hidden_state):
        torch.manual_seed(1)  # of dropout, which is drawn in the same order
        states.append(encode()[mask])
        states[-1].square().sum().backward()
    torch.testing.assert_close(*states, rtol=1e-5, atol=1e-5)
    gradients = zip(own.parameters(), expected.parameters(), strict=True)
    assert all(torch.allclose(a.grad[1:], b.grad[1:], rtol=1e-4, atol=1e-4) for a, b in gradients)  # row 0: padding
