"""From a split to records: `training_sets` by name, `detector` trained and tested, `runner` that records."""
