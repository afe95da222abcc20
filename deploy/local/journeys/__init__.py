"""Citizens, case workers and an agency played over HTTP: for `./dev up`, its check, and the journey tests."""
