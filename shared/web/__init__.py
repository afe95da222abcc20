"""What every HTTP role shares: problems, strict JSON, idempotency, versions, pages, health, access log, serving."""
