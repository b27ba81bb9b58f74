"""From labelled rows to a model: which rows test which, what they show, and the thresholds that come of it."""
