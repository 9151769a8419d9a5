"""Polling of GitHub: the parts that `services.poll_repositories` is made of."""
