"""Where tokens for GitHub come from: personal access tokens, or a GitHub App."""
