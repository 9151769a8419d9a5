"""What a session may ask to be done in the world: proposals, bounded by the task's Origin.

An intent is {"name": one of `names`, ...its own fields}, proposed by a tool of the same module. The
publisher applies it later (`services/effects`), to the target that the Origin names, never to one
that the model names.
"""
