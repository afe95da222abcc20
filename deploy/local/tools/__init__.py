"""The small commands of `./dev`, one module each with `main(arguments) -> exit code`."""
