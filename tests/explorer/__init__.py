"""Small worlds in which all orders of events are walked (world, scenarios, walk), and the laws that must hold (laws)."""
