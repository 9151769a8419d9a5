import datetime as dt
import ssl
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nightdesk.adapters.models.anthropic import AnthropicModel
from nightdesk.adapters.models.wire import checked_base_url, is_this_machine
from nightdesk.domain.errors import CallAbortedError
from nightdesk.domain.model import CallControl, ModelUnavailableError
from tests.fakes.clock import FakeClock
from tests.models.provider_server import ProviderServer, hangs_before_the_headers, replies
from tests.models.providers import KEY, MODELS, asking
from tests.models.wire_formats import Said, anthropic_events


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)  # noqa: TID251  OpenSSL looks at the real clock
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[ProviderServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ProviderServer(tls=context) as running:
        yield running


def connected(server: ProviderServer) -> AnthropicModel:
    return AnthropicModel(api_key=KEY, models=MODELS, clock=FakeClock(), base_url=server.url)


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_server: ProviderServer) -> None:
    with pytest.raises(ModelUnavailableError, match="SSLError"):
        connected(tls_server).converse(asking(), CallControl())

    assert tls_server.requests == []


def test_a_call_over_tls_is_cut_as_well(
    tls_server: ProviderServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    model = connected(tls_server)
    tls_server.script(replies(anthropic_events(Said(text="x"))), hangs_before_the_headers)
    model.converse(asking(), CallControl())
    tls_server.asked.clear()
    control = CallControl()

    def abort() -> None:
        tls_server.asked.wait(5)
        control.abort()

    Thread(target=abort).start()
    started = time.monotonic()

    with pytest.raises(CallAbortedError):
        model.converse(asking(), control)

    assert time.monotonic() - started < 1
    assert tls_server.hung_up.wait(1)


def test_credentials_of_a_netrc_file_are_not_sent(
    server: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    server.script(replies(anthropic_events(Said(text="x"))))

    connected(server).converse(asking(), CallControl())

    assert "authorization" not in server.requests[0].headers


def test_this_machine_is_not_reached_through_a_proxy(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.script(replies(anthropic_events(Said(text="x"))))

    assert connected(server).converse(asking(), CallControl()).text == "x"


@pytest.mark.parametrize(
    ("base_url", "checked"),
    [
        ("https://api.example.com/", "https://api.example.com"),
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("http://[::1]:8000/v1/", "http://[::1]:8000/v1"),
        ("http://127.8.9.1", "http://127.8.9.1"),
    ],
)
def test_a_base_url_is_https_or_on_this_machine(base_url: str, checked: str) -> None:
    assert checked_base_url(base_url) == checked


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "https://user:secret@example.com",
        "ftp://127.0.0.1",
        "api.example.com",
        "",
    ],
)
def test_any_other_base_url_is_refused_without_being_shown(base_url: str) -> None:
    with pytest.raises(ValueError) as caught:
        checked_base_url(base_url)

    assert "secret" not in str(caught.value)


def test_a_host_that_only_looks_like_loopback_is_not() -> None:
    assert not is_this_machine("http://127.0.0.1.example.com")
