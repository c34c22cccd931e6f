"""Access tokens in the idiom of other HTTP libraries, one module for each; nothing is imported until one is named."""
