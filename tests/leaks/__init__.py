"""The leak test: no scenario of the suite leaves a secret or a token where somebody might read it."""
