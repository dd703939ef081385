"""The protocols of depth estimators, and an estimator for tests."""
