"""CTGAN (Xu et al. 2019), to be timed beside where it is installed."""

import numpy as np
import pandas as pd
from ctgan import CTGAN


def fit_and_sample(x: np.ndarray, y: np.ndarray, rows: int) -> pd.DataFrame:
    """Trained for one epoch on rows x [n, d] with labels y [n]; so many rows of it."""
    frame = pd.DataFrame(x, columns=[f"c{place}" for place in range(x.shape[1])]).assign(label=y.astype(str))
    model = CTGAN(epochs=1)
    model.fit(frame, discrete_columns=["label"])
    return model.sample(rows)
