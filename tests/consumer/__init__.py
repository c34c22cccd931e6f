"""A library of somebody else's that embeds client-credentials: it replaces what may be replaced, and uses the rest."""

from __future__ import annotations

from .api import Api
from .parts import BorrowedToken, BorrowedTokenLater, Cupboard, LockedCupboard, SteadyClock

__all__ = ["Api", "BorrowedToken", "BorrowedTokenLater", "Cupboard", "LockedCupboard", "SteadyClock"]
