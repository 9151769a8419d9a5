"""Show issues and pull requests to people, with bodies rendered as GitHub renders them.

Bodies are text of strangers and of models: raw HTML is shown as text, images are never loaded,
and the page's policy allows no script.
"""

from __future__ import annotations

import html
import re
from datetime import datetime
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token as MarkdownToken

from local.github_simulator.records import Issue, User
from local.github_simulator.shapes import issue_html_url
from local.github_simulator.state import GithubState, Repository

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
REFRESH_SECONDS = 10
HTML_COMMENT = re.compile(r"(\s*<!--.*?-->\s*)+", re.DOTALL)
STYLE = """
:root { color-scheme: light dark; --line: #d1d9e0; --soft: #f6f8fa; --text: #1f2328; --dim: #59636e;
  --back: #fff; --link: #0969da }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #151b23; --text: #f0f6fc;
  --dim: #9198a1; --back: #0d1117; --link: #4493f8 } }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--text); background: var(--back);
  margin: 0 }
main { max-width: 860px; margin: 0 auto; padding: 32px 20px 80px }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
h1 { font-size: 26px; font-weight: 500; line-height: 1.25; margin: 8px 0 }
h1 small, .dim { color: var(--dim); font-weight: 300 }
.state { display: inline-block; color: #fff; border-radius: 2em; padding: 3px 12px; font-size: 13px;
  background: #1f883d } .state.closed { background: #8250df }
.label { display: inline-block; border: 1px solid var(--line); border-radius: 2em; padding: 0 9px;
  font-size: 12px; margin-left: 6px }
article { border: 1px solid var(--line); border-radius: 6px; margin: 18px 0; overflow: hidden }
article > header { background: var(--soft); border-bottom: 1px solid var(--line); padding: 7px 16px;
  font-size: 13px; color: var(--dim) } article > header b { color: var(--text) }
article > div { padding: 4px 16px; overflow-wrap: break-word }
pre { background: var(--soft); padding: 12px; border-radius: 6px; overflow-x: auto;
  font-size: 13px }
code { background: var(--soft); padding: .15em .35em; border-radius: 4px; font-size: 85% }
pre code { padding: 0; font-size: inherit }
table { border-collapse: collapse } td, th { border: 1px solid var(--line); padding: 5px 11px }
blockquote { margin: 0; padding-left: 14px; border-left: 4px solid var(--line); color: var(--dim) }
img { display: none }
"""


def _raw_html(
    self: RendererHTML, tokens: list[MarkdownToken], index: int, options: Any, env: Any
) -> str:
    """Hide HTML comments, as GitHub does; show any other HTML as the text it is."""
    del self, options, env
    content = tokens[index].content
    return "" if HTML_COMMENT.fullmatch(content) else html.escape(content)


def _renderer() -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    renderer.add_render_rule("html_block", _raw_html)
    renderer.add_render_rule("html_inline", _raw_html)
    return renderer


MARKDOWN = _renderer()


def markdown(text: str | None) -> str:
    """Render a body without letting any of its HTML through."""
    if not text or not text.strip():
        return '<p class="dim"><em>No description provided.</em></p>'
    return str(MARKDOWN.render(text))


def issue_page(state: GithubState, repository: Repository, issue: Issue) -> str:
    """Write the page of an issue or pull request: title, body, comments, reviews."""
    posts = [
        _post(repository, issue.author, "opened", issue.created_at, issue.body, anchor="issue")
    ]
    posts += [post for _, post in sorted(_answers(repository, issue), key=lambda pair: pair[0])]
    labels = "".join(
        f'<span class="label">{html.escape(item.name)}</span>' for item in issue.labels
    )
    title = html.escape(issue.title)
    content = (
        f'<p class="dim"><a href="{state.base_url}/">{html.escape(repository.full_name)}</a></p>'
        f"<h1>{title} <small>#{issue.number}</small></h1>"
        f'<p><span class="state {issue.state}">{issue.state.capitalize()}</span>{labels}</p>'
        + "".join(posts)
    )
    return _page(f"{title} · {html.escape(repository.full_name)} #{issue.number}", content)


def _answers(repository: Repository, issue: Issue) -> list[tuple[tuple[datetime, int], str]]:
    """Write what others said, each with the time and id to sort it by."""
    found = []
    for comment in repository.comments.values():
        if comment.issue_number == issue.number:
            anchor = f"issuecomment-{comment.id}"
            post = _post(
                repository,
                comment.author,
                "commented",
                comment.created_at,
                comment.body,
                anchor=anchor,
            )
            found.append(((comment.created_at, comment.id), post))
    for review in repository.reviews.values():
        if review.pull_number == issue.number and review.submitted_at is not None:
            lines = [c for c in repository.review_comments.values() if c.review_id == review.id]
            quoted = [f"**`{c.path}` line {c.line}**\n\n{c.body}" for c in lines]
            body = "\n\n---\n\n".join(filter(None, [review.body, *quoted]))
            verb = review.state.lower().replace("_", " ")
            anchor = f"pullrequestreview-{review.id}"
            post = _post(repository, review.author, verb, review.submitted_at, body, anchor=anchor)
            found.append(((review.submitted_at, review.id), post))
    return found


def _post(
    repository: Repository, author: User, verb: str, at: datetime, body: str | None, *, anchor: str
) -> str:
    association = repository.association_of(author).capitalize()
    badge = "" if association == "None" else f'<span class="label">{association}</span>'
    badge += '<span class="label">bot</span>' if author.kind == "Bot" else ""
    return (
        f'<article id="{anchor}"><header><b>{html.escape(author.login)}</b> {verb} '
        f"{at:%Y-%m-%d %H:%M:%S} UTC{badge}</header><div>{markdown(body)}</div></article>"
    )


def index_page(state: GithubState) -> str:
    """Write the front page: every repository with its issues and pull requests."""
    parts = []
    for repository in state.repositories.values():
        parts.append(f"<h1>{html.escape(repository.full_name)}</h1><ul>")
        for issue in reversed(repository.issues.values()):
            address = html.escape(issue_html_url(state, repository, issue))
            kind = "issue" if issue.pull is None else "pull request"
            parts.append(
                f'<li>#{issue.number} <a href="{address}">{html.escape(issue.title)}</a> '
                f'<span class="dim">{kind}, {issue.state}</span></li>'
            )
        parts.append("</ul>")
    return _page("GitHub simulator", "".join(parts))


def _page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><main>{content}"
        f'<p class="dim">Shown by the GitHub simulator on this machine.</p></main></body></html>'
    )
