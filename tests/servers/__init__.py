"""Popular token endpoints that are not quite RFC 6749, emulated by what they document, and the README's row for each.

The law held here: with what the row says, and nothing else, the strategy gets a token.
"""
