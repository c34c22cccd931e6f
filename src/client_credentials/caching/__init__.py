"""Where tokens are kept between strategies, processes and hosts."""
