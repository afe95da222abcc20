"""The dashboards as code: what they show is described here, `./dev contracts` writes `dashboards/*.json`."""
