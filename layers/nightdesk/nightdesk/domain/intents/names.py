"""The intents by name, and the tools through which they are proposed."""

COMMENT = "comment"
LABELS = "labels"
#: A review of a pull request; each of its findings is journalled as a FINDING on the way.
REVIEW = "review"
FINDING = "finding"
#: A new issue in the task's own repository.
ISSUE = "issue"
#: A pull request of changes; each change of a file is journalled as a CHANGE on the way.
PULL_REQUEST = "pull_request"
CHANGE = "change"
#: Asking a person: a tool, but no intent, since nothing is published.
ASK = "ask_person"
REPORT_FINDING = "report_finding"
#: The tool through which an intent is proposed; comment and review are the answer.
PROPOSED_BY = {
    LABELS: "propose_labels",
    ISSUE: "propose_issue",
    PULL_REQUEST: "propose_pull_request",
}
