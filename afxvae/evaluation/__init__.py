"""How good it is: metrics against a known truth, baselines to beat, protocols and reports."""
