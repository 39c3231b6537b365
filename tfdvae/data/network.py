"""Downloads that fail within seconds where a host cannot be reached."""

import contextlib
import threading
import time
import urllib.parse

import requests

SECONDS = 5  # for the host's address, the connection and the certificate


@contextlib.contextmanager
def fails_soon():
    """In this block, let downloads fail soon where a host cannot be reached.

    TensorFlow Datasets repeats a download up to ten times, which takes minutes without a network. Here a connection is tried before the
    first download from each host, at most twice. Hosts that are reached keep their repetitions. Files that are there already ask no host.
    """
    get, lock, reached, failures = requests.Session.get, threading.Lock(), set(), []

    def get_if_reached(session, url, **options):
        host = urllib.parse.urlsplit(url).netloc
        with lock:  # downloads run in many threads
            if host not in reached and not failures:  # one missing file is enough to fail
                failure = _failure(url, options.get("verify"))
                if failure:
                    failures.append(f"{host} {failure}")
                else:
                    reached.add(host)
        if failures:
            raise requests.ConnectionError(failures[0])
        return get(session, url, **options)

    requests.Session.get = get_if_reached
    try:
        yield
    finally:
        requests.Session.get = get


def _failure(url, verify):
    """Return in words why a host cannot be reached, or "" where it accepts a connection within `SECONDS`."""
    proxy = " through the proxy of HTTP_PROXY or HTTPS_PROXY" if requests.utils.get_environ_proxies(url) else ""
    unreached, outcomes = f"cannot be reached{proxy}", []

    def connect():
        try:
            requests.get(url, verify=verify, stream=True, allow_redirects=False, timeout=(SECONDS - 1, 1)).close()
        except requests.exceptions.SSLError:
            return "has no certificate that this machine accepts"
        except requests.exceptions.ConnectionError:
            return unreached
        except Exception:  # a slow answer (ReadTimeout), or a fault that the download itself reports
            pass
        return ""

    def connect_or_try_again():
        failure = connect()
        if failure:
            time.sleep(1)
            failure = connect()
        outcomes.append(failure)

    thread = threading.Thread(target=connect_or_try_again, daemon=True)  # the look-up of an address has no timeout of its own
    thread.start()
    thread.join(SECONDS)
    return outcomes[0] if outcomes else unreached
