"""Text to a program with spans, and a program back to text; knows no operator and no type."""
