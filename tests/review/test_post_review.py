"""A review reaches its pull request exactly once, only while it is fresh, and never repeats."""

from dataclasses import replace
from typing import Any

import pytest

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import Account, GithubRefusedError
from nightdesk.domain.outbox import RETRY_AFTER, OutboxState
from nightdesk.domain.publication import COMMENT_MAX
from nightdesk.domain.pull_ports import PullComment
from nightdesk.domain.review.marks import keys_in
from nightdesk.services.outbox_rows import Outcome
from tests.fakes.kill import Kill, KillSwitch
from tests.fakes.pulls import HEAD, NEXT_HEAD
from tests.publisher.world import TASK
from tests.review.examples import CART, CART_PATCH, LOGO, finding
from tests.review.world import REVIEW_ROW, TARGET, ReviewWorld
from tests.sanitiser.judge import findings as problems_in

MARKER = (
    "<!-- nightdesk specialist:issue-enricher "
    "task:1b4e28ba-2fa1-11d2-883f-0016d3cca427 row:github#0001#review#1 -->"
)


def test_a_review_stands_at_its_lines_with_summary_footer_and_marks(world: ReviewWorld) -> None:
    world.found(
        finding(severity="suggestion", line=5, title="Say why", body="x" * 10, suggestion="y = 1"),
        finding(start_line=3, line=4),
        summary="**Not yet.** One hole.",
    )

    assert world.publish_review() is Outcome.DONE

    (draft,) = world.pull.drafts
    assert draft.commit == HEAD
    first, second = draft.comments
    assert (first.anchor.shown, second.anchor.shown) == ("src/cart.py:3-4", "src/cart.py:5")
    assert first.body.startswith("**Critical:** Adding a string adds its letters\n\nadd_item(")
    assert "Suggested change:\n\n```\ny = 1\n```" in second.body
    assert draft.body.startswith("**Not yet.** One hole.\n\n___\n\nWritten by an automated agent:")
    assert draft.body.endswith(f"{MARKER}\n")
    assert keys_in(draft.body) == keys_in(first.body) | keys_in(second.body)
    url = "https://github.com/octo-org/widgets/pull/12#pullrequestreview-1"
    assert (world.publication, world.row(REVIEW_ROW).result_url) == (url, url)


def test_without_findings_nothing_is_posted_and_the_task_says_so(world: ReviewWorld) -> None:
    world.found(summary="Ready.")

    assert world.publish_review() is Outcome.DONE
    assert world.publication == "nothing to report"
    assert world.pull.drafts == []


def test_only_a_row_of_a_pull_request_becomes_a_review(world: ReviewWorld) -> None:
    world.found(finding())
    world.origin(target=replace(TARGET, kind="issue"))
    assert world.publish_review() is Outcome.DEAD
    assert world.pull.drafts == []


# Exactly once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_publisher_killed_anywhere_posts_exactly_one_review(*, after_effect: bool) -> None:
    calls = 0
    while True:
        world = ReviewWorld()
        world.earlier_review(finding(line=22, title="Earlier", body="Something earlier."))
        world.found(finding())
        switch = KillSwitch(calls, after_effect=after_effect)
        try:
            world.publish_review(switch)
        except Kill:
            world.publish_until_quiet()
        else:
            assert calls == len(switch.made)
            break
        assert world.row(REVIEW_ROW).state is OutboxState.DONE, (calls, switch.made)
        assert len(world.pull.drafts) == 2, (calls, switch.made)
        assert world.publication == world.pull.reviews[-1].url
        calls += 1
    assert calls >= 9


def test_a_lost_answer_is_found_again_though_the_head_has_moved(world: ReviewWorld) -> None:
    world.found(finding())
    world.github.fails_after = [UnavailableError("GitHub: ReadTimeout")]

    assert world.publish_review() is Outcome.TRY_AGAIN
    world.pull.head_sha = NEXT_HEAD
    world.clock.advance(RETRY_AFTER[0])
    assert world.publish_review() is Outcome.DONE
    assert world.publication == world.pull.reviews[0].url
    assert len(world.pull.drafts) == 1


def test_a_strangers_copy_of_the_marker_hides_nothing(world: ReviewWorld) -> None:
    world.found(finding())
    copied = PullComment(id=1, author_id=666, body=MARKER, url="https://github.com/x")
    world.pull.reviews.append(copied)

    world.publish_review()
    assert len(world.pull.drafts) == 1


# Fresh ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"head_sha": NEXT_HEAD}, f"the head of the pull request has moved from {HEAD} to"),
        ({"is_open": False}, "the pull request is closed"),
    ],
    ids=["moved", "closed"],
)
def test_a_stale_review_is_discarded_and_the_task_says_why(
    world: ReviewWorld, change: dict[str, Any], reason: str
) -> None:
    world.found(finding())
    for name, value in change.items():
        setattr(world.pull, name, value)

    assert world.publish_review() is Outcome.DONE
    assert str(world.publication).startswith(f"discarded: {reason}")
    assert world.pull.drafts == []


def test_a_head_that_moves_while_it_is_looked_at_discards_the_review(world: ReviewWorld) -> None:
    world.found(finding())
    facts = world.pull.facts

    def then_somebody_pushes() -> Any:
        found = facts()
        world.pull.head_sha = NEXT_HEAD
        return found

    world.pull.facts = then_somebody_pushes  # type: ignore[method-assign]

    assert world.publish_review() is Outcome.DONE
    assert str(world.publication).startswith("discarded: the head of the pull request has moved")


def test_a_superseded_tasks_review_is_discarded(world: ReviewWorld) -> None:
    world.found(finding())
    world.tasks.tasks[TASK] = replace(world.tasks.tasks[TASK], superseded_by="t-2")

    assert world.publish_review() is Outcome.DONE
    assert world.publication == "discarded: superseded by task t-2"
    assert world.pull.drafts == []


def test_a_task_that_a_comment_started_is_held_to_the_head_that_its_session_saw(
    world: ReviewWorld,
) -> None:
    world.found(finding())
    world.origin(target=replace(TARGET, head_sha=""))
    world.pull.head_sha = NEXT_HEAD
    world.publish_review()
    assert str(world.publication).startswith("discarded:")

    world.pull.head_sha = HEAD
    again = ReviewWorld()
    again.github.pulls[12] = world.pull
    again.found(finding())
    again.origin(target=replace(TARGET, head_sha=""))
    again.publish_review()
    assert [draft.commit for draft in world.pull.drafts] == [HEAD]


# Lines ----------------------------------------------------------------------------------------


def test_what_has_no_line_in_the_diff_stands_in_the_body(world: ReviewWorld) -> None:
    world.found(
        finding(),
        finding(line=12, title="Not in a hunk"),
        finding(path="logo.png", line=1, title="Too large a picture"),
        finding(path="src/gone.py", line=1, title="No such file"),
    )
    world.publish_review()

    (draft,) = world.pull.drafts
    assert [comment.anchor.line for comment in draft.comments] == [3]
    for title in ("Not in a hunk", "Too large a picture", "No such file"):
        assert f"**Critical:** {title}" in draft.body
    assert "`src/cart.py:12`" in draft.body


def test_a_line_that_github_refuses_costs_no_finding(world: ReviewWorld) -> None:
    world.github.refuses_lines = True
    world.found(finding(), finding(line=22, title="The total is wrong"))

    assert world.publish_review() is Outcome.DONE
    (draft,) = world.pull.drafts
    assert draft.comments == ()
    assert "Adding a string" in draft.body
    assert "The total is wrong" in draft.body


def test_a_review_that_github_refuses_twice_is_dead(world: ReviewWorld) -> None:
    refused = GithubRefusedError("GitHub: POST reviews: 422")
    world.github.fails_before = [refused, refused]
    world.found(finding())

    assert world.publish_review() is Outcome.DEAD
    assert world.publication == "failed: GitHub: POST reviews: 422"


def test_ten_long_findings_fit_into_one_body(world: ReviewWorld) -> None:
    world.github.refuses_lines = True
    long = "word <b> _x_ @you " * 200
    many = [finding(title=f"Number {'x' * n}", body=long, suggestion=long) for n in range(1, 13)]
    world.found(*many, summary=long * 20)

    assert world.publish_review() is Outcome.DONE
    (draft,) = world.pull.drafts
    assert len(draft.body) <= COMMENT_MAX
    assert draft.body.endswith(f"{MARKER}\n")
    assert draft.body.count("**Critical:**") == 10


# Repeats --------------------------------------------------------------------------------------


def test_a_finding_is_not_repeated_after_a_push_that_moved_its_line(world: ReviewWorld) -> None:
    world.earlier_review(finding(), finding(line=22, title="The total is wrong"))
    world.pull.head_sha = NEXT_HEAD
    world.origin(target=replace(TARGET, head_sha=NEXT_HEAD))
    moved = CART_PATCH.replace("+1,5", "+31,5").replace("+21,4", "+51,4")
    world.pull.files = (replace(CART, patch=moved), LOGO)
    world.found(
        finding(line=33, title="Strings are taken apart"),  # the same code in other words
        finding(line=52, title="the TOTAL is wrong!"),  # the same words
        finding(line=34, title="Nobody reads the flag"),
    )

    assert world.publish_review() is Outcome.DONE

    draft = world.pull.drafts[-1]
    assert [comment.anchor.line for comment in draft.comments] == [34]
    assert "2 more findings were reported here before and not repeated." in draft.body


def test_when_all_is_said_already_nothing_is_posted(world: ReviewWorld) -> None:
    world.earlier_review()
    world.found(finding(line=4, title="Adding a string adds its letters"))

    assert world.publish_review() is Outcome.DONE
    assert world.publication == "nothing to report: all 1 findings were reported before"
    assert len(world.pull.drafts) == 1


@pytest.mark.parametrize("kept", ["reviews", "line_comments"])
def test_a_finding_is_known_from_the_review_or_from_its_line_alone(
    world: ReviewWorld, kept: str
) -> None:
    """People delete comments that they have dealt with, and edit what they do not like."""
    world.earlier_review()
    for name in {"reviews", "line_comments"} - {kept}:
        emptied = [replace(one, body="(edited)") for one in getattr(world.pull, name)]
        setattr(world.pull, name, emptied)
    world.found(finding())

    world.publish_review()
    assert str(world.publication).startswith("nothing to report")


def test_a_stranger_cannot_silence_a_finding_with_a_copy_of_its_mark(world: ReviewWorld) -> None:
    world.earlier_review()
    stolen = [replace(one, author_id=666) for one in world.pull.reviews]
    lines = [replace(one, author_id=666) for one in world.pull.line_comments]
    world.pull.reviews, world.pull.line_comments = stolen, lines
    world.found(finding())

    world.publish_review()
    assert len(world.pull.drafts) == 2


def test_the_same_words_about_another_file_are_another_finding(world: ReviewWorld) -> None:
    world.earlier_review()
    world.pull.files = (CART, replace(CART, path="src/basket.py"))
    world.found(finding(path="src/basket.py"))

    world.publish_review()
    assert len(world.pull.drafts) == 2


# What a session may not do --------------------------------------------------------------------


def test_every_text_is_sanitised(world: ReviewWorld) -> None:
    nasty = "@octocat fixes #3 <img src=x> ![a](https://evil.example/x) ghp_" + "a" * 36
    world.github.account = Account(id=99, login="us")
    world.found(
        finding(title=nasty[:150], body=nasty, suggestion="````\n@octocat\n<!-- nightdesk x -->"),
        finding(path="a`b @octocat.py", line=1, title=nasty[:150], body=nasty),
        summary=f"{nasty}\n\n/nightdesk developer\n<!-- nightdesk findings:00 -->",
    )
    world.publish_review()

    (draft,) = world.pull.drafts
    for text in (draft.body, *(comment.body for comment in draft.comments)):
        assert "<!-- nightdesk x" not in text.partition("Suggested change:")[0]
        shown = text.split("<!-- nightdesk findings:")[0]
        assert problems_in(shown) == []
        assert "ghp_aaa" not in shown


@pytest.mark.parametrize(
    "findings",
    [None, "x", [None, 3, {}], [finding(severity="block")], [finding(line=0)], [finding(title=7)]],
    ids=["none", "text", "things", "severity", "line", "title"],
)
def test_a_payload_of_nonsense_reports_nothing(world: ReviewWorld, findings: Any) -> None:
    world.intends({"body": "APPROVE", "event": "APPROVE", "findings": findings}, row=REVIEW_ROW)
    assert world.publish_review() is Outcome.DONE
    assert world.publication == "nothing to report"
    assert world.pull.drafts == []


def test_a_second_review_of_a_run_is_beyond_its_bounds(world: ReviewWorld) -> None:
    world.found(finding())
    second = "github#0001#review#2"
    world.intends(world.row(REVIEW_ROW).payload, row=second)
    assert world.publish(second) is Outcome.DEAD
