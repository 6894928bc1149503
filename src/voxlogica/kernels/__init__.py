"""Arrays in, arrays out: the algorithms, with the compiled code. Knows nothing of the language; usable alone."""
