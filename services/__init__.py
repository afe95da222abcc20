"""The five services. None imports another; what they know of each other is `shared.contracts`."""
