from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.adapters.models.sse import ServerSentEvent, SseParser


def parsed(*chunks: bytes) -> list[ServerSentEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def test_an_event_has_a_name_and_data() -> None:
    assert parsed(b"event: ping\ndata: {}\n\n") == [ServerSentEvent("ping", "{}")]


def test_the_space_after_the_colon_may_be_missing() -> None:
    assert parsed(b"data:[DONE]\n\n") == [ServerSentEvent("", "[DONE]")]


def test_only_one_space_is_dropped() -> None:
    assert parsed(b"data:  a\n\n") == [ServerSentEvent("", " a")]


def test_several_data_lines_are_one_text() -> None:
    assert parsed(b"data: a\ndata: b\n\n") == [ServerSentEvent("", "a\nb")]


def test_comments_and_other_fields_are_no_events() -> None:
    assert parsed(b": keep-alive\n\nid: 1\nretry: 10\n\n") == []


def test_an_event_without_its_blank_line_is_not_complete() -> None:
    assert parsed(b"data: a\n") == []


def test_a_line_ending_may_be_split() -> None:
    assert parsed(b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n") == [
        ServerSentEvent("", "a"),
        ServerSentEvent("", "b"),
    ]


def test_a_character_may_be_split() -> None:
    assert parsed(b"data: \xf0\x9f", b"\x8c\x99\n\n") == [ServerSentEvent("", "🌙")]


def test_other_line_separators_of_unicode_are_data() -> None:
    assert parsed("data: a\u2028b\x0bc\n\n".encode()) == [ServerSentEvent("", "a\u2028b\x0bc")]


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=10), max_size=4
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.sets(st.integers(0, 80), max_size=10),
)
def test_any_chunking_gives_the_same_events(texts: list[str], ending: str, cuts: set[int]) -> None:
    body = "".join(f"data: {text}{ending}{ending}" for text in texts).encode()
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]

    events = parsed(*(body[a:b] for a, b in zip(edges, [*edges[1:], None], strict=True)))

    assert [event.data for event in events] == texts
