"""`FlowPreprocessor`: the cleaning and scaling of the pipeline as a scikit-learn transformer."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from nids_jax.data.scaling import fit_scaler
from nids_jax.errors import InputError
from nids_jax.estimators.inputs import CELLS, Columns, Invalid, cells, column_names


class FlowPreprocessor(TransformerMixin, BaseEstimator):
    """Flow records as published → the scaled columns that networks see.

    Columns of a data frame that identify a flow (addresses, times, ids, the source port) are left out, as are columns
    without a value.  A missing or infinite value becomes the column's median.  Numbers are scaled by `scaler`, a column
    of text or categories becomes a column of +1 and −1 for each of its names.

    Fitted attributes: `columns_`, `scaler_` (`data.scaling.Scaler`), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        scaler: str = "signed_log",
        *,
        on_invalid: Invalid = "impute",
        keep_ports: bool = False,
    ):
        """
        Args:
          scaler: one of `data.scaling.SCALERS`.
          on_invalid: "impute" medians for values that are missing or infinite, or raise an "error".
          keep_ports: keep the destination port, which gives many attacks away.
        """
        self.scaler = scaler
        self.on_invalid: Invalid = on_invalid
        self.keep_ports = keep_ports

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the columns, their medians and their scales from X [n, d]; y is ignored.

        Raises:
          InputError: an unknown setting, or no column to keep.
        """
        if self.on_invalid not in ("impute", "error"):
            raise InputError(f"`on_invalid` is {self.on_invalid!r}; choose from impute, error")
        found: Any = validate_data(self, X, **CELLS)
        self.columns_ = Columns.found(X, found, column_names(self), flows=True, keep_ports=self.keep_ports)
        x = self.columns_.read(found, self.on_invalid)
        sizes = {place: len(known) for place, known in enumerate(self.columns_.categories) if known}
        self.scaler_ = fit_scaler(self.scaler, x, sizes)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """X [n, d] → scaled rows [n, width] float32.

        Raises:
          NotFittedError: it is not fitted.
          InputError: a value that cannot be used, where `on_invalid` is "error".
        """
        check_is_fitted(self)
        x = self.columns_.read(cells(self, X), self.on_invalid)
        return self.columns_.scaled(self.scaler_, x)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the scaled columns [width]: `Flow Duration`, `protocol=tcp`, `protocol=udp`, …"""
        check_is_fitted(self)
        names: Any = _check_feature_names_in(self, input_features)
        columns: list[str] = []
        for place, known in zip(self.columns_.kept, self.columns_.categories, strict=True):
            columns += [f"{names[place]}={each}" for each in known] or [names[place]]
        return np.array(columns, object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.on_invalid == "impute"
        tags.input_tags.string = tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
