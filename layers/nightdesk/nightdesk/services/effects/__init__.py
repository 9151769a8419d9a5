"""What the intents become on GitHub: one module for each, each safe to repeat."""
