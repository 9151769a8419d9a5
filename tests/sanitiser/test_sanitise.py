import base64
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.sanitiser import CUT_NOTICE, Kind, Policy, sanitise
from nightdesk.domain.sanitiser.secret_patterns import REMOVED
from tests.sanitiser.judge import findings, pages

MARKDOWN = Policy()
TITLE = Policy(kind=Kind.TITLE, max_characters=256)
LABEL = Policy(kind=Kind.LABEL, max_characters=50)
POLICIES = (MARKDOWN, TITLE, LABEL)


def clean(text: str, policy: Policy = MARKDOWN) -> str:
    """The sanitised text, held against everything that must always be true of one."""
    result = sanitise(text, policy)
    assert sanitise(result, policy) == result
    if policy.kind is Kind.MARKDOWN:
        assert findings(result) == []
    assert len(result) <= policy.max_characters
    return result


# What stays -----------------------------------------------------------------------------------

REPORT = """\
# Where to look

The cache **never** expires, because `Cache.get` in `src/cache.py` *ignores* the ~~old~~ new TTL.

1. Check `expires_at` in `get`:

   ```python
   @property
   def fresh(self) -> bool:  # see #12
       return self.expires_at > now()
   ```

2. Add a test

- [ ] read
- [x] write
  - nested

> A quote
> of two lines

| file | lines |
| --- | --: |
| `a\\|b` | 3 |

___

[The manual](https://docs.python.org/3/library/time.html) and <https://github.com/o/r/blob/main/a_b.py#L3>"""


def test_an_ordinary_report_stays_as_it_is() -> None:
    assert clean(REPORT) == REPORT


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("snake_case_name and 2 * 3", "snake_case_name and 2 \\* 3"),
        ("a < b && c > d", "a \\< b && c \\> d"),
        ("List<int> and <your-name>", "List`<int>` and `<your-name>`"),
        ("#hashtag and C# and #", "#hashtag and C# and #"),
        ("me at 5pm @ home", "me at 5pm `@` home"),
        ("Setext\n======", "# Setext"),
        ("* one\n* two", "- one\n- two"),
        ("    indented code", "```\nindented code\n```"),
        ("```mermaid\ngraph\n```", "```\ngraph\n```"),
        ("```Python title=x\npass\n```", "```python\npass\n```"),
        ("a\\\nb  \nc", "a\\\nb\\\nc"),
        ("[^1] and [ ] x", "\\[^1\\] and \\[ \\] x"),
        ("1\\. not a list", "1\\. not a list"),
        ("$x$ and &copy; &amp;lt;", "$x$ and © \\&lt;"),
    ],
)
def test_markdown_is_written_anew_in_one_way(text: str, result: str) -> None:
    assert clean(text) == result


def test_code_keeps_what_elsewhere_would_be_live() -> None:
    code = "```\n@user #12 <img src=x> https://evil.example fixes #1\n```"
    assert clean(code) == code
    assert clean("`@user #12 <!-- x -->`") == "`@user #12 <!-- x -->`"


def test_a_fence_holds_whatever_its_content_is() -> None:
    assert clean("~~~\n```\n@user\n~~~") == "````\n```\n@user\n````"


def test_a_fence_that_is_never_closed_is_closed() -> None:
    assert clean("```python\n@x\n") == "```python\n@x\n```"


# What is neutralised --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("@octocat please", "`@octocat` please"),
        ("cc @octo-org/core-team.", "cc `@octo-org/core-team.`"),
        ("(@octocat)", "(`@octocat`)"),
        ("\\@octocat &#64;octocat", "`@octocat` `@octocat`"),
        ("@<b></b>octocat", "`@octocat`"),
        ("@\u200boctocat", "`@octocat`"),
        ("**@octocat** _@octocat_", "**`@octocat`** *`@octocat`*"),
        ("mail a.b@example.com", "mail `a.b@example.com`"),
        ("fixes #12", "fixes `#12`"),
        ("Closes octo-org/widgets#12, GH-7", "Closes `octo-org/widgets#12`, `GH-7`"),
        ("resolves https://github.com/o/r/issues/3", "resolves `https://github.com/o/r/issues/3`"),
        ("see https://github.com/o/r/pull/3.", "see `https://github.com/o/r/pull/3`."),
        ("[it](https://github.com/o/r/issues/3)", "it (`https://github.com/o/r/issues/3`)"),
        ("/deploy prod", "`/deploy` prod"),
        ("text\n/lgtm", "text\n`/lgtm`"),
        ("&#47;lgtm", "`/lgtm`"),
        ("see /etc/hosts", "see /etc/hosts"),
        ("@nightdesk run", "`@nightdesk` run"),
        ("Nightdesk: again", "`Nightdesk:` again"),
        ("ask nightdesk: again", "ask nightdesk: again"),
        ("```\n/deploy prod\n/usr/bin/env\n```", "```\n /deploy prod\n/usr/bin/env\n```"),
    ],
)
def test_what_would_do_something_on_github_does_nothing(text: str, result: str) -> None:
    assert clean(text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("![alt](https://evil.example/x.png)", "alt"),
        ("![a@b](x) ![ref]\n\n[ref]: https://e.example", "`a@b` ref"),
        ('<img src="https://evil.example/?d=1">', ""),
        ("a <!-- hidden --> b", "a  b"),
        ("<!-- never closed\n\nafter", "never closed\n\nafter"),
        ("<details><summary>More</summary>\n\nInner @x\n\n</details>", "More\n\nInner `@x`"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("<a href='https://evil.example'>x</a>", "x"),
        ("<svg/onload=alert(1)>", "\\<svg/onload=alert(1)\\>"),
        ("[x](https://evil.example/a)", "x (`https://evil.example/a`)"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("[x](ftp://e.example) [y](/relative) [z](#anchor)", "x y z"),
        ("<https://evil.example> www.evil.example", "`https://evil.example` `www.evil.example`"),
        ("http://docs.python.org/3", "`http://docs.python.org/3`"),
        ("https://docs.python.org@evil.example/", "`https://docs.python.org@evil.example/`"),
        ("https://docs.python.org:8443/", "`https://docs.python.org:8443/`"),
        ("https://docs.python.org.evil.example", "`https://docs.python.org.evil.example`"),
        ('[x](https://docs.python.org/3 "@octocat")', "[x](https://docs.python.org/3)"),
        ("https://docs.python.org/3/.", "<https://docs.python.org/3/>."),
        ("[x][r]\n\n[r]: <https://evil.example>", "x (`https://evil.example`)"),
        ("smb://h/s ldap://h mailto:a@b.c", "`smb://h/s` `ldap://h` `mailto:a@b.c`"),
    ],
)
def test_only_allowed_links_and_no_html_come_out(text: str, result: str) -> None:
    assert clean(text) == result


@pytest.mark.parametrize(
    "hidden",
    ["\u200b", "\u202e", "\u2066", "\ufeff", "\U000e0041", "\x1b[31m", "\x07", "\u00ad", "\u3164"],
)
def test_what_nobody_sees_is_taken_out_everywhere(hidden: str) -> None:
    text = f"a{hidden}b `c{hidden}d`\n\n```\ne{hidden}f\n```"
    assert clean(text) == "ab `cd`\n\n```\nef\n```"


# Secrets --------------------------------------------------------------------------------------

SECRETS = [
    "ghp_" + "a1B2" * 9,
    "gho_" + "a1B2" * 9,
    "ghs_12345_" + "eyJhbGciOi.J9-_" * 30,
    "github_pat_11ABCDEFG0" + "aB3_" * 15,
    "nd_0123456789abcdef_" + "0123456789abcdef" * 3,
    "sk-ant-api03-" + "aB3_-" * 12,
    "sk-proj-" + "aB3" * 12,
    "AKIA" + "ABCDEFGH12345678",
    "aws_secret_access_key = " + "abcd/EFGH+" * 4,
    "xoxb-123456789012-abcdefghijkl",
    "glpat-" + "aB3-" * 6,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "Authorization: Bearer " + "aB3." * 10,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIE\ncut off",
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda s: s[:12])
@pytest.mark.parametrize("form", ["{}", "x {} y", "`{}`", "```\n{}\n```", "**{}**", "- {}", "> {}"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.kind.value)
def test_secrets_are_removed_from_every_kind_of_output(
    secret: str, form: str, policy: Policy
) -> None:
    result = clean(form.format(secret), policy)
    tail = secret.partition("\n")[0][-12:] if "PRIVATE" not in secret else "MIIE"
    assert tail not in result
    assert REMOVED in result or policy.kind is Kind.LABEL


PARTINGS = (
    "{}**{}**",
    "*{}*{}",
    "{}~~{}~~",
    "[{}](https://docs.python.org){}",
    "{}`{}`",
    "{}![{}](x)",
)


@pytest.mark.parametrize("parting", PARTINGS)
@pytest.mark.parametrize("at", [1, 4, 12, 39])
@pytest.mark.parametrize("form", ["{}", "# {}", "- {}", "> {}", "|a|\n|-|\n|{}|"])
def test_a_secret_that_markup_parts_is_a_secret_still(parting: str, at: int, form: str) -> None:
    secret = "ghp_" + "a1B2" * 9
    text = form.format(parting.format(secret[:at], secret[at:]))
    for _, page in pages(clean(text)):
        assert secret not in re.sub(r"<[^>]*>", "", page)


def test_a_secret_within_a_link_goes_too() -> None:
    secret = "ghp_" + "a1B2" * 9
    for text in (f"[x](https://docs.python.org/{secret})", f"https://docs.python.org/?t={secret}"):
        assert secret not in clean(text)


def test_a_known_secret_goes_whatever_its_form() -> None:
    policy = replace(MARKDOWN, known_secrets=("hunter2", ""))
    assert sanitise("it is `hunter2`", policy) == f"it is `{REMOVED}`"


# Length ---------------------------------------------------------------------------------------


LONG = {
    "words": "word " * 30_000,
    "one word": "x" * 200_000,
    "code": "```python\n" + "value = 1  # @x\n" * 8_000 + "```",
    "list": "- item with `code`\n" * 4_000,
    "mentions": "@user " * 20_000,
    "table": "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 7_000,
    "paragraphs": "a *b* [c](d)\n\n" * 6_000,
    # What takes the square of its length, if a pattern is careless.
    "long mention": "x" * 70_000 + "@",
    "long reference": "." * 70_000 + "#",
    "token heads": "-eyJ" * 20_000,
}


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        *((name, 65_536) for name in ("words", "one word", "code")),
        *((name, 65_536) for name in ("long mention", "long reference", "token heads")),
        *((name, 12_000) for name in ("list", "mentions", "table", "paragraphs")),
    ],
)
def test_a_long_text_is_cut_cleanly_and_says_so(name: str, limit: int) -> None:
    result = clean(LONG[name], replace(MARKDOWN, max_characters=limit))
    assert limit * 5 // 8 < len(result) <= limit
    assert result.endswith(CUT_NOTICE)


def test_a_fence_that_is_cut_is_closed_before_the_notice() -> None:
    result = clean(LONG["code"])
    assert result.count("```") == 2
    assert result.endswith(f"\n```\n\n{CUT_NOTICE}")


def test_a_text_that_just_fits_is_not_cut() -> None:
    text = ("word " * 20).strip()
    assert clean(text, replace(MARKDOWN, max_characters=len(text))) == text


def test_room_for_nothing_gives_nothing() -> None:
    assert sanitise("word " * 20, replace(MARKDOWN, max_characters=20)) == ""


# Titles and labels ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Fix  the\n cache", "Fix the cache"),
        ("@octocat broke #12", "`@octocat` broke `#12`"),
        ("/deploy now", "`/deploy` now"),
        ("Already `@quoted` here", "Already `@quoted` here"),
        ("<!-- x --> y", "<!-- x --> y"),
    ],
)
def test_a_title_is_one_harmless_line(text: str, result: str) -> None:
    assert clean(text, TITLE) == result


def test_a_label_is_only_trimmed() -> None:
    assert clean(" good first\u200b issue ", LABEL) == "good first issue"
    assert clean("x" * 80, LABEL) == "x" * 50


# Properties -----------------------------------------------------------------------------------

FRAGMENTS = [
    *("@user", "@org/team", "#12", "o/r#4", "GH-7", "fixes ", "/deploy", "@nightdesk", "a@b.co"),
    *("https://evil.example/x_y", "https://github.com/o/r/issues/3", "https://docs.python.org/3"),
    *("<b>", "</b>", "<img src=x>", "<!-- ", "-->", "<details>", "<T>", "<pre>", "</pre>", "<?x"),
    *("![", "](", "http://e.x/i.png", ")", "[", "]", "[x](https://evil.example)", "<![CDATA["),
    *("*", "**", "_", "__", "~~", "`", "``", "```", "```\n", "~~~", "\n", "\n\n", "> ", "- "),
    *("1. ", "2) ", "* ", "# ", "## ", "---", "===", "|", "| a | b |\n|---|---|\n| c | d |"),
    *("    ", "\t", " ", "word", "\\", "&#64;", "&lt;", "&amp;", "<https://evil.example>"),
    *("[a]: http://x.y\n", "[a]", "\u200b", "\u202e", "\x1b[31m", "- [ ] ", "[^1]", "&#10;"),
    *("ghp_" + "a" * 30, "www.e.com", "!", "&#8203;", "1", "@", "#", "/", ".", "  \n", "é", "GH-"),
]
documents = st.lists(st.sampled_from(FRAGMENTS), max_size=16).map("".join) | st.text(max_size=60)


@settings(max_examples=800, deadline=None, derandomize=True)
@given(documents)
def test_every_markdown_text_comes_out_clean_and_settled(text: str) -> None:
    clean(text)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(documents, st.sampled_from([TITLE, LABEL]))
def test_every_title_and_label_comes_out_as_one_settled_line(text: str, policy: Policy) -> None:
    assert "\n" not in clean(text, policy)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(documents, min_size=1, max_size=6).map("\n\n".join), st.integers(60, 400))
def test_every_cut_is_clean_and_settled(text: str, length: int) -> None:
    clean(text, replace(MARKDOWN, max_characters=length))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "Zs"]), max_size=80))
def test_plain_words_are_never_lost(text: str) -> None:
    assert clean(text).replace("\\", "").split() == text.split()


def test_redaction_is_a_last_net_only() -> None:
    """What an attacker had encoded passes: hence no secret may be within the model's reach."""
    secret = "ghp_" + "a1B2" * 9
    encoded = base64.b64encode(secret.encode()).decode()
    assert encoded in sanitise(encoded, MARKDOWN)
