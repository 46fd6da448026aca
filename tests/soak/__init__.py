"""Damaged files by the thousand: `fuzz` reads `mutants` of `seeds` in processes (`reader`) that may die."""
