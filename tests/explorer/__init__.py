"""All orders of events within small worlds: what they are (world), how they are walked (walk), and what must hold (laws)."""
