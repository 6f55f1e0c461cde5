"""The store against a Consul that asks who is there. Real: Consul with access lists and TLS."""

from datetime import UTC, datetime

import pytest

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from factotum.persistence.access import Access, ConsulVariableError, Credentials
from factotum.persistence.consul import ABSENT, ConsulStore
from factotum.persistence.errors import StoreUnreachableError
from support.consul.guarded import SERVER, GuardedConsul, write
from support.consul.process import ConsulProcess

pytestmark = pytest.mark.consul

PREFIX = "com.snowplowanalytics/factotum"
POLICY = f'key_prefix "{PREFIX}/" {{ policy = "write" }}'
"""What docs/consul.md says that the operator needs."""


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    with GuardedConsul.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


@pytest.fixture(scope="module")
def wary(tmp_path_factory):
    """A Consul that lets in nobody without a certificate."""
    folder = tmp_path_factory.mktemp("wary")
    with GuardedConsul.fresh(folder, wants_certificate=True) as process:
        yield process


@pytest.fixture
def token_file(consul, tmp_path):
    path = tmp_path / "token"
    path.write_text(consul.token(POLICY) + "\n")
    return path


def access(consul, token_file="", **more):
    given = {"tls": True, "ca_file": str(consul.files / "ca.crt"), "server_name": SERVER}
    return Access(token_file=str(token_file), **(given | more))


async def test_with_token_and_authority_everything_that_is_asked_works(consul, token_file):
    async with ConsulStore(consul.address, access(consul, token_file)) as store:
        revision = await store.put(f"{PREFIX}/a", b"1", revision=0)
        assert await store.put(f"{PREFIX}/a", b"2", revision=revision) > revision
        assert (await store.get(f"{PREFIX}/a")).value == b"2"
        assert await store.get(f"{PREFIX}/none") == ABSENT
        assert [*await store.entries(PREFIX)] == [f"{PREFIX}/a"]
        assert await store.probe(f"{PREFIX}/-") > 0


async def test_without_a_token_nothing_is_to_be_had(consul):
    async with ConsulStore(consul.address, access(consul)) as store:
        with pytest.raises(StoreUnreachableError, match="ermission denied"):
            await store.get(f"{PREFIX}/a")
        with pytest.raises(StoreUnreachableError, match="ermission denied"):
            await store.put(f"{PREFIX}/b", b"1", revision=0)


async def test_a_token_in_the_environment_counts_as_well(consul):
    given = access(consul, token=consul.token(POLICY))
    async with ConsulStore(consul.address, given) as store:
        assert await store.put(f"{PREFIX}/environment", b"1", revision=0)


async def test_a_new_token_is_taken_without_a_restart(consul, token_file):
    clock = [0.0]
    credentials = Credentials(access(consul, token_file), clock=lambda: clock[0])
    old = credentials.token()
    token_file.write_text("another")
    assert credentials.token() == old
    clock[0] += 6
    assert credentials.token() == "another"


async def test_a_token_that_is_put_right_is_taken_by_lines_that_are_open(consul, token_file):
    good = token_file.read_text()
    token_file.write_text("0f7e1c1f-8d9a-4a32-9f0c-3f3f7f0d2a00")
    async with ConsulStore(consul.address, access(consul, token_file)) as store:
        with pytest.raises(StoreUnreachableError, match="ACL not found"):
            await store.get(f"{PREFIX}/a")
        token_file.write_text(good)
        for client in list_of_clients(store):
            client.http._credentials._token_until = 0.0
        assert await store.get(f"{PREFIX}/nothing") == ABSENT


def list_of_clients(store):
    clients = [store._clients.get_nowait() for _ in range(store._clients.qsize())]
    for client in clients:
        store._clients.put(client)
    return clients


async def test_one_connection_serves_many_requests_over_tls(consul, token_file):
    async with ConsulStore(consul.address, access(consul, token_file)) as store:
        (first, *_) = list_of_clients(store)
        await store.get(f"{PREFIX}/a")
        sock = first.http._connection.sock
        clients = list_of_clients(store)
        for client in clients:
            client.kv.get(f"{PREFIX}/a")
        socks = [client.http._connection.sock for client in clients]
        for client in clients:
            client.kv.get(f"{PREFIX}/a")

        assert sock in socks
        assert [client.http._connection.sock for client in clients] == socks


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"ca_file": ""}, "not trusted.*--consul-ca-file", id="unknown-authority"),
        pytest.param({"server_name": ""}, "not trusted.*--consul-tls-name", id="another-name"),
        pytest.param({"tls": False}, "wants TLS there.*--consul-tls", id="plain-text"),
    ],
)
async def test_what_keeps_consul_from_being_trusted_is_told_with_its_cure(
    consul, token_file, change, words
):
    async with ConsulStore(consul.address, access(consul, token_file, **change)) as store:
        with pytest.raises(StoreUnreachableError, match=words):
            await store.put(f"{PREFIX}/x", b"1", revision=0)


async def test_tls_where_consul_speaks_plainly_is_an_outage(consul, tmp_path):
    with ConsulProcess.fresh(tmp_path) as plain:
        async with ConsulStore(plain.address, access(consul)) as store:
            with pytest.raises(StoreUnreachableError, match="SSL"):
                await store.get("a")


async def test_a_certificate_of_ours_is_shown_to_a_consul_that_wants_one(wary, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(wary.token(POLICY))
    mine = {"cert_file": str(wary.files / "client.crt"), "key_file": str(wary.files / "client.key")}
    async with ConsulStore(wary.address, access(wary, token_file, **mine)) as store:
        assert await store.put(f"{PREFIX}/a", b"1", revision=0)
    async with ConsulStore(wary.address, access(wary, token_file)) as store:
        with pytest.raises(StoreUnreachableError):
            await store.put(f"{PREFIX}/b", b"1", revision=0)


def test_certificates_that_are_renewed_count_for_the_next_connection(tmp_path):
    (tmp_path / "ca.crt").write_text(material().trusted)
    credentials = Credentials(Access(tls=True, ca_file=str(tmp_path / "ca.crt")))
    before = credentials.context()
    assert credentials.context() is before

    (tmp_path / "new").write_text(material().trusted)
    (tmp_path / "new").replace(tmp_path / "ca.crt")

    assert credentials.context() is not before


def material():
    return authority.make((SERVER,), datetime.now(UTC), Lifetimes())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot be read: No such file", id="absent"),
        pytest.param(b"two words", "holds no token", id="words"),
        pytest.param(b"a\r\nX-Other: b", "holds no token", id="header"),
        pytest.param(b"\xff\xfe", "cannot be read: not text", id="binary"),
    ],
)
def test_a_file_without_a_token_is_named_and_not_quoted(tmp_path, content, words):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(StoreUnreachableError, match=words) as refused:
        Credentials(Access(token_file=str(path))).token()

    assert str(path) in str(refused.value)
    assert "X-Other" not in str(refused.value)


def test_files_that_are_no_certificates_are_named(tmp_path):
    (tmp_path / "ca.crt").write_text("no certificate")
    write(tmp_path, "mine", material())
    (tmp_path / "mine.key").write_text(material().key)

    for given, words in (
        ({"ca_file": "ca.crt"}, "--consul-ca-file .*ca.crt cannot be used: not PEM"),
        ({"ca_file": "none.crt"}, "none.crt cannot be read: No such file"),
        ({"cert_file": "mine.crt", "key_file": "mine.key"}, "--consul-cert-file .*mine.crt"),
    ):
        paths = {key: str(tmp_path / name) for key, name in given.items()}
        with pytest.raises(StoreUnreachableError, match=words):
            Credentials(Access(tls=True, **paths)).context()


def test_a_token_is_in_no_representation():
    assert "hush" not in repr(Access(token="hush"))


@pytest.mark.parametrize("text", ["", "\n", "two words", "t\u00f6ken", "a\x00b"])
def test_a_file_without_a_token_is_an_error_and_never_nobody(tmp_path, text):
    (tmp_path / "token").write_text(text)

    with pytest.raises(StoreUnreachableError, match="holds no token"):
        Credentials(Access(token_file=str(tmp_path / "token"))).token()


def test_consuls_own_variables_are_heard():
    environ = {"CONSUL_HTTP_TOKEN": " secret\n", "CONSUL_HTTP_SSL": "true"}

    assert Access.from_environment(environ) == Access(tls=True, token="secret")
    assert Access.from_environment({}) == Access()
    with pytest.raises(ConsulVariableError):
        Access.from_environment({"CONSUL_HTTP_TOKEN": "two words"})
