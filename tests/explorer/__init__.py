"""Small worlds, all orders of events within them, and the laws that must hold in each state."""
