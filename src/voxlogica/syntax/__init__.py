"""Text to a program with spans, and a program back to text; knows no operator and no type."""

from voxlogica.syntax.parser import parse
from voxlogica.syntax.printer import print_program, show

__all__ = ["parse", "print_program", "show"]
