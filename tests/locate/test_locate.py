"""The right files come first, apart by kind, the same every time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.locate.counting import agreement
from nightdesk.domain.locate.file_kinds import FileKind
from nightdesk.domain.locate.listing import location_of_text, location_to_text
from nightdesk.domain.locate.location import Location, RankedFile, Region
from nightdesk.domain.locate.query import NamedPlace
from nightdesk.domain.locate.ranking import locate
from nightdesk.domain.locate.symbols import Definition
from nightdesk.domain.snapshot_paths import is_safe_path
from tests.locate.shop_repository import SHOP
from tests.reading_tools.memory_snapshot import MemorySnapshot

ROOT = Path(__file__).parents[2]


def located(text: str) -> Location:
    return locate(MemorySnapshot(SHOP), text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            "Expired entries stay in the cache\nMemory grows, nothing evicts them.",
            "src/shop/cache_store.py",
        ),
        (
            "Coupon with blanks is not accepted\n`apply_discount` returns the full amount",
            "src/shop/discounts.py",
        ),
        ("Prices are shown without cents\nThe web page formats price wrongly", "web/src/format.ts"),
        ("Backoff of the retry queue explodes\nThe delay doubles for ever", "worker/main.go"),
        ("Users are logged out\nThe session cookie expires too soon", "src/shop/sessions.py"),
        (
            'Crash\n```\nTraceback\n  File "/app/shop/cart.py", line 14, in total\nKeyError\n```',
            "src/shop/cart.py",
        ),
        ("Something is wrong in web/src/cartView.ts", "web/src/cartView.ts"),
        ("It fails in shop.sessions.sign_cookie", "src/shop/sessions.py"),
    ],
)
def test_the_file_that_a_text_is_about_comes_first(text: str, path: str) -> None:
    assert located(text).sources[0].path == path


def test_a_file_comes_with_its_words_symbols_and_lines() -> None:
    best = located("Expired entries stay in the cache\n`evict_expired` never runs").sources[0]
    assert {"expired", "entries", "cache"} <= set(best.terms)
    assert best.symbols[0] == Definition("evict_expired", 20, "def")
    assert best.region == Region(18, 26)
    assert not best.is_named


def test_a_line_of_a_stack_trace_is_the_region() -> None:
    text = 'Crash\n  File "/x/src/shop/discounts.py", line 14, in apply_discount'
    best = located(text).sources[0]
    assert best.is_named
    assert best.region is not None
    assert best.region.first <= 14 <= best.region.last


def test_tests_documents_and_the_rest_are_apart() -> None:
    location = located("Expired entries stay in the cache\n`CacheStore` keeps them")
    assert location.tests[0].path == "tests/test_cache_store.py"
    assert location.others[0].path == "docs/caching.md"
    everywhere = {file.path for file in (*location.sources, *location.tests, *location.others)}
    assert not everywhere & {"poetry.lock", "vendor/github.com/x/cache.go", "web/dist/cart.min.js"}


def test_a_test_named_like_the_best_source_comes_before_others() -> None:
    assert located("discount `apply_discount` cache expired").tests[0].path in {
        "tests/test_discounts.py",
        "tests/test_cache_store.py",
    }
    assert located("Coupon SPRING gives no discount").tests[0].path == "tests/test_discounts.py"


def test_a_named_test_comes_before_one_that_says_the_words_more_often() -> None:
    files = {
        "src/cart.py": "def cart_total(): return 'cart total'\n" * 5,
        "tests/test_cart.py": "from cart import x\n",
        "tests/test_all.py": "cart total cart total cart total\n" * 9,
    }
    tests = locate(MemorySnapshot(files), "The cart total is off").tests
    assert [test.path for test in tests] == ["tests/test_cart.py", "tests/test_all.py"]


@pytest.mark.parametrize(
    ("named", "path", "expected"),
    [
        (("web", "src", "format.ts"), "web/src/format.ts", 1.0),
        (("src", "format.ts"), "web/src/format.ts", 1.0),
        (("format.ts",), "web/src/format.ts", 0.5),
        (("setup.py",), "setup.py", 1.0),
        (("home", "ann", "web", "src", "format.ts"), "src/format.ts", 1.0),
        (("lib", "format.ts"), "web/src/format.ts", 0.0),
        (("format.js",), "web/src/format.ts", 0.0),
        (("shop", "cart.*"), "src/shop/cart.py", 1.0),
        (("src", "shop.*"), "src/shop/__init__.py", 1.0),
        ((), "a.py", 0.0),
    ],
)
def test_a_named_place_agrees_with_paths_that_end_like_it(
    named: tuple[str, ...], path: str, expected: float
) -> None:
    assert agreement(NamedPlace(named, None, 1.0), path) == expected


def test_words_that_no_file_holds_are_told() -> None:
    location = located("Zebra discount\nA quagga ate the coupon")
    assert "zebra" in location.unknown
    assert "quagga" in location.unknown
    assert "discount" in location.words


def test_nothing_is_found_in_nothing() -> None:
    assert located("").sources == ()
    assert locate(MemorySnapshot({}), "cache").files_read == 0


def test_the_snapshots_notices_come_along() -> None:
    snapshot = MemorySnapshot(SHOP, notices=("2 links were left out",))
    assert locate(snapshot, "cache").notices == ("2 links were left out",)


def test_binary_files_are_passed_over() -> None:
    location = locate(MemorySnapshot({"a.py": "cache\0", "b.py": "cache = 1\n"}), "cache")
    assert [file.path for file in location.sources] == ["b.py"]


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_a_ranking_does_not_depend_on_the_hash_seed(seed: str) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from tests.locate.shop_repository import SHOP\n"
        "from tests.reading_tools.memory_snapshot import MemorySnapshot\n"
        "from nightdesk.domain.locate.listing import location_to_text\n"
        "from nightdesk.domain.locate.ranking import locate\n"
        "print(location_to_text(locate(MemorySnapshot(SHOP), 'cache cart price total session')))"
    )
    arguments = [sys.executable, "-c", program, str(ROOT), str(ROOT / "layers" / "nightdesk")]
    done = subprocess.run(
        arguments, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    here = location_to_text(located("cache cart price total session"))
    assert done.stdout.rstrip("\n") == here


PATHS = st.one_of(
    st.sampled_from(
        ["Tests:", " a.py", "1. 2. b.py", "Commit: c", "Notice: d", "   lines 1-2", "é"]
    ),
    st.text(alphabet="ab./:;, 1", min_size=1, max_size=12).filter(is_safe_path),
)
WORDS = st.lists(st.from_regex(r"[a-z][a-z0-9_]{2,9}", fullmatch=True), max_size=4).map(tuple)
DEFINITIONS = st.builds(
    Definition,
    st.from_regex(r"[A-Za-z_$][\w$]{0,9}", fullmatch=True),
    st.integers(1, 9_999),
    st.sampled_from(["def", "class", "function"]),
)


def ranked_files(kind: FileKind) -> st.SearchStrategy[tuple[RankedFile, ...]]:
    regions = st.builds(Region, st.integers(1, 999), st.integers(1, 999))
    one = st.builds(
        RankedFile,
        path=PATHS,
        kind=st.just(kind),
        score=st.integers(0, 9_999).map(lambda thousandths: thousandths / 1_000),
        terms=WORDS,
        symbols=st.lists(DEFINITIONS, max_size=3).map(tuple),
        region=st.none() | regions,
        is_named=st.booleans(),
    )
    return st.lists(one, max_size=3).map(tuple)


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Location,
        sources=ranked_files(FileKind.SOURCE),
        tests=ranked_files(FileKind.TEST),
        others=ranked_files(FileKind.OTHER),
        words=WORDS,
        unknown=WORDS,
        files_read=st.integers(0, 99_999),
        commit=st.sampled_from(["", "c" * 40]),
        notices=st.lists(PATHS, max_size=2).map(tuple),
    )
)
def test_a_listing_is_read_back_as_it_was_written(location: Location) -> None:
    assert location_of_text(location_to_text(location)) == location


def test_a_path_cannot_pass_for_anything_else_in_a_listing() -> None:
    names = ["Tests:", "   line 1: def evil", "Commit: evil", "Notice: evil", "1. 2. x.py"]
    files = {f"{name}/cache.py": "cache = 1\n" for name in names if is_safe_path(name)}
    location = locate(MemorySnapshot(files), "cache")
    assert location_of_text(location_to_text(location)) == location
    assert len(location.sources) == len(files)


@given(st.text(max_size=2_000))
def test_any_text_is_a_listing_if_not_a_full_one(text: str) -> None:
    location_of_text(text)
    json.dumps(location_to_text(location_of_text(text)))
