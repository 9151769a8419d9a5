"""The intents by name, and the tools through which they are proposed."""

COMMENT = "comment"
LABELS = "labels"
#: Asking a person: a tool, but no intent, since nothing is published.
ASK = "ask_person"
#: The tool through which an intent is proposed; the comment is the answer itself.
PROPOSED_BY = {LABELS: "propose_labels"}
