"""The network process: what it hears of the world, it puts where others judge it. Floor 7, a composition root.

Today it polls a plain store for new models; with none configured it idles. It holds no device, decides on nobody's
trust, and the daemon goes on for ever without it.
"""

from __future__ import annotations

from edge.link.service import Host, Link
from edge.link.stores import StoreError, access_from, open_store

__all__ = ["Host", "Link", "StoreError", "access_from", "open_store"]
