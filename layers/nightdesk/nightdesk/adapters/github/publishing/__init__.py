"""What the publisher does on GitHub (`Publishing`): the only code that writes there."""

from nightdesk.adapters.github.publishing.accounts import GithubAccounts
from nightdesk.adapters.github.publishing.branches import GithubBranches
from nightdesk.adapters.github.publishing.comments import GithubComments
from nightdesk.adapters.github.publishing.issues import GithubIssues
from nightdesk.adapters.github.publishing.labels import GithubLabels
from nightdesk.adapters.github.publishing.reviews import GithubReviews
from nightdesk.adapters.github.publishing.statuses import GithubStatuses


class GithubPublishing(
    GithubAccounts,
    GithubComments,
    GithubLabels,
    GithubIssues,
    GithubReviews,
    GithubBranches,
    GithubStatuses,
):
    """`Publishing` on GitHub's REST API: one base class for each kind of effect."""
