"""The default fetch: a token request over urllib3, with a deadline for the whole exchange."""
