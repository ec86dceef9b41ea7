"""How text was written, told from the text alone; what cannot be told for sure is said."""
