"""imbalanced-learn's SMOTE, to be timed beside."""

import numpy as np
from imblearn.over_sampling import SMOTE


def resample(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows x [n, d] with labels y [n], every class raised to the largest one."""
    return SMOTE(random_state=0).fit_resample(x, y)
