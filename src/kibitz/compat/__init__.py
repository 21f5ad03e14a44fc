"""Names and wire formats of other systems, as thin translators."""
