"""Evidence: metrics, intervals, baselines, calibration, slices."""
