"""The functional core: values in, values out, and nothing of the world in between."""
