"""The demo: a synthetic case, the reference analysis on it, and a picture. Run it with `make demo`."""
