"""`./dev soak`: the highest steady rate of real journeys, held for long, and what grows meanwhile."""
