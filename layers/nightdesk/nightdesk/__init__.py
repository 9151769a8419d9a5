"""Nightdesk: background agents for software teams, serverless on their own AWS account."""
