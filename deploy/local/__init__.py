"""The whole system on one machine as ordinary processes: what `./dev` does. No part of a service lives here."""
