"""Analytics: live KPIs that are exact. It only counts; it decides nothing and holds no personal data."""
