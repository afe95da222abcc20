"""Asks a process whether it is well, by HTTP on the loopback interface. Never goes through a proxy."""

import http.client


def is_ready(port: int, timeout: float = 3.0) -> bool:
    """Whether `GET /health/ready` answers 200. Raises OSError when nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    except http.client.HTTPException:
        return False
    finally:
        connection.close()
