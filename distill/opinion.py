"""What FER+ says of a face's label: ten people's votes as one more teacher, which needs no picture.

A face's label is one person's word, and a network that is asked for it learns that person's slips as well. What ten
others saw tells much of what the label would be on average (privileged information: Lopez-Paz et al. 2016).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch import Tensor, from_numpy

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import DataError

_FOLDS = 5
_FLOOR = 1e-3
"""No emotion is less probable than this: a few hundred faces with such votes cannot tell more."""


def label_given_votes(votes: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Return the probabilities of each label float32 (n, 7), given shares of votes (n, 8), by boosted trees.

    A face's own label has no part in what is said of it: each fifth is predicted from the other four. Raises
    ``DataError`` when an emotion has fewer faces than that.
    """
    fewest = int(np.bincount(labels, minlength=len(EMOTIONS)).min())
    if fewest < _FOLDS:
        expected, step = f"at least {_FOLDS} Training faces of each", "leave --ferplus-power at 0"
        raise DataError("too few faces of an emotion for votes", expected=expected, got=str(fewest), next_step=step)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=15, early_stopping=False, random_state=seed
    )
    said: NDArray[np.float64] = cross_val_predict(trees, votes, labels, cv=folds, method="predict_proba")
    return np.maximum(said, _FLOOR).astype(np.float32)


def with_opinion(targets: Tensor, said: NDArray[np.float32], *, power: float, temperature: float) -> Tensor:
    """Multiply the teachers' softened ``targets`` float16 (views, n, 7) by what votes say (n, 7), to a power.

    The product of experts is ``softmax((teachers' logits + power · log said) / temperature)``, as float16.
    """
    logits = targets.float().log() + power / temperature * from_numpy(said).log()
    return logits.softmax(-1).half()
