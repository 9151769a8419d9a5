"""A review: its findings, how a finding is known again, and the texts that are published."""
