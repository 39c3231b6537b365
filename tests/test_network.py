"""Downloads without a network, through a proxy, and from slow or faulty hosts, all on this machine."""

import contextlib
import http.server
import socket
import threading
import time

import numpy as np
import pytest
import requests

from tfdvae import data
from tfdvae.data import network
from tfdvae.errors import InputError


@contextlib.contextmanager
def serving(statuses=(200,), delay=0):
    """Serve any address on this machine; yield the server's address, and the addresses that were asked for.

    Each answer takes the next status, and the last status stays; None breaks the connection off.
    """
    asked, statuses = [], list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            time.sleep(delay)
            if status is None:
                return self.connection.close()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the first try does not wait for the answer
                self.send_response(status)
                self.send_header("Content-Length", "6")
                self.end_headers()
                self.wfile.write(b"images")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture
def closed():
    """An address on this machine where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that loads a dataset of 20 images, whose two files it downloads from a host."""
    import tensorflow_datasets as tfds

    def load(host):
        with tfds.core.registered.skip_registration():

            class Distant(tfds.core.GeneratorBasedBuilder):
                VERSION = tfds.core.Version("1.0.0")

                def _info(self):
                    return tfds.core.DatasetInfo(
                        builder=self, features=tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(4, 4, 1))})
                    )

                def _split_generators(self, dl_manager):
                    paths = dl_manager.download([f"http://{host}/{name}" for name in ("one", "two")])
                    assert [path.read_text() for path in paths] == ["images", "images"]
                    return {"train": self._generate_examples()}

                def _generate_examples(self):
                    for i in range(20):
                        yield i, {"image": np.zeros((4, 4, 1), np.uint8)}

        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
        monkeypatch.setattr(tfds, "list_builders", lambda **_: ["distant"])
        monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Distant(data_dir=data_dir))
        return data.load_dataset("distant")

    return load


def refusal_within(seconds, load, host):
    start = time.monotonic()
    with pytest.raises(InputError) as refused:
        load(host)
    assert time.monotonic() - start < seconds
    return str(refused.value)


def test_a_host_that_cannot_be_reached_is_told_within_seconds(load, closed):
    sentence = refusal_within(5, load, closed)
    assert f"could it be downloaded ({closed} cannot be reached); connect to the network once, or place its files by hand" in sentence


def test_an_address_that_is_never_found_is_told_within_seconds(load, monkeypatch):
    monkeypatch.setattr(network, "SECONDS", 1.5)
    waiting = threading.Event()

    def unanswered(*_, **__):
        waiting.wait(20)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    assert "(pictures.invalid cannot be reached)" in refusal_within(5, load, "pictures.invalid")
    waiting.set()


def test_a_host_that_breaks_off_once_still_gives_its_files(load):
    with serving(statuses=(None, 200)) as (host, asked):
        load(host)
    assert len(asked) == 4  # two tries, two files


def test_a_slow_host_that_fails_twice_still_gives_its_files(load):
    with serving(statuses=(200, 503, 503, 200), delay=1.2) as (host, asked):
        assert load(host).sizes == (17, 1, 2)
    assert len(asked) == 5  # one try, two files, two repetitions


def test_a_missing_file_is_reported_as_one(load):
    with serving(statuses=(404,)) as (host, _):
        assert "HTTP code: 404" in refusal_within(5, load, host)


def test_downloads_go_through_the_proxy_of_the_environment(load, monkeypatch):
    with serving() as (host, asked):
        monkeypatch.setenv("HTTP_PROXY", f"http://{host}")
        load("pictures.invalid")
    assert set(asked) == {"http://pictures.invalid/one", "http://pictures.invalid/two"}


def test_a_proxy_that_cannot_be_reached_is_named(load, closed, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{closed}")
    assert "(pictures.invalid cannot be reached through the proxy of HTTP_PROXY" in refusal_within(5, load, "pictures.invalid")


def test_other_downloads_are_as_before_afterwards(closed):
    get = requests.Session.get
    with pytest.raises(requests.ConnectionError, match="cannot be reached"), network.fails_soon():
        requests.Session().get(f"http://{closed}/one")
    assert requests.Session.get is get
