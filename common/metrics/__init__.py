"""Pure numbers: intervals, calibration, scores of summed statistics. Imports nothing else of the kit."""
