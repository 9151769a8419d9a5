"""A small repository of the kind that people have, in three languages."""

SHOP = {
    "README.md": "# Shop\n\nRun `make serve`. Sessions expire after `SESSION_TTL` seconds.\n",
    "docs/caching.md": "# Caching\n\nEntries of the cache expire lazily; see `CacheStore`.\n",
    "pyproject.toml": '[project]\nname = "shop"\ndependencies = ["redis"]\n',
    "poetry.lock": '[[package]]\nname = "redis"\n# cache expire entry session cart discount\n' * 30,
    "src/shop/__init__.py": '"""The shop."""\n',
    "src/shop/cache_store.py": '''"""A cache of rendered pages with a time to live."""

import time


class CacheStore:
    """Keeps entries until they expire."""

    def __init__(self, ttl_seconds: float) -> None:
        self._entries: dict[str, tuple[float, bytes]] = {}
        self._ttl = ttl_seconds

    def put(self, key: str, page: bytes) -> None:
        self._entries[key] = (time.monotonic() + self._ttl, page)

    def get(self, key: str) -> bytes | None:
        expires, page = self._entries.get(key, (0.0, b""))
        return page if expires > time.monotonic() else None

    def evict_expired(self) -> int:
        """Remove expired entries; says how many."""
        now = time.monotonic()
        expired = [key for key, (expires, _) in self._entries.items() if expires < now]
        for key in expired:
            del self._entries[key]
        return len(expired)
''',
    "src/shop/cart.py": '''"""A customer's cart."""

from shop.discounts import apply_discount


class Cart:
    def __init__(self) -> None:
        self.items: list[tuple[str, int]] = []

    def add_item(self, sku: str, price: int) -> None:
        self.items.append((sku, price))

    def total(self, coupon: str | None = None) -> int:
        amount = sum(price for _, price in self.items)
        return apply_discount(amount, coupon)
''',
    "src/shop/discounts.py": '''"""Coupons and what they are worth."""

COUPONS = {"SPRING": 10, "STAFF": 30}


def parse_coupon(text: str) -> str:
    return text.strip().upper()


def apply_discount(amount: int, coupon: str | None) -> int:
    if coupon is None:
        return amount
    percent = COUPONS.get(parse_coupon(coupon), 0)
    return amount - amount * percent // 100
''',
    "src/shop/sessions.py": '''"""Log-in sessions in cookies."""

SESSION_TTL = 3600


def sign_cookie(value: str, secret: bytes) -> str:
    return value


def is_session_expired(created: float, now: float) -> bool:
    return now - created > SESSION_TTL
''',
    "web/src/cartView.ts": """import { formatPrice } from "./format";

export class CartView {
  render(items: Item[]): string {
    return items.map((item) => formatPrice(item.price)).join("\\n");
  }
}

export const emptyCartMessage = (name: string) => `${name}, your cart is empty`;
""",
    "web/src/format.ts": """export function formatPrice(cents: number): string {
  return (cents / 100).toFixed(2);
}
""",
    "web/dist/cart.min.js": "var cart=1,discount=2,coupon=3;" * 50,
    "worker/main.go": """package main

import "time"

// RetryQueue sends mails again.
type RetryQueue struct{ delay time.Duration }

func (q *RetryQueue) NextDelay(attempt int) time.Duration {
	return q.delay * time.Duration(1<<attempt)
}
""",
    "vendor/github.com/x/cache.go": "package cache\n// cache expired entries evict\n" * 20,
    "tests/test_cache_store.py": """from shop.cache_store import CacheStore


def test_expired_entries_are_not_returned() -> None:
    store = CacheStore(ttl_seconds=0)
    store.put("a", b"1")
    assert store.get("a") is None


def test_evict_expired_counts() -> None:
    assert CacheStore(1).evict_expired() == 0
""",
    "tests/test_discounts.py": """from shop.discounts import apply_discount


def test_a_coupon_takes_ten_percent() -> None:
    assert apply_discount(100, " spring ") == 90
""",
    "worker/main_test.go": "package main\n\nfunc TestNextDelay(t *testing.T) {}\n",
}
