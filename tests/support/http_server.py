"""The tests' simulators are served as the demo's are."""

from demo.http_server import serve

__all__ = ["serve"]
