"""The municipal services, one YAML file each. A service is data: no code here knows one by name."""
