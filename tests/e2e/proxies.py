"""Real proxies in front of a server, each on one port that claims TLS and one that does not.

They append to what a client sends, as their stock configurations do, and hand on every header name.
"""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.production import free_port

_PATH = "/usr/sbin:/usr/bin"
PROGRAMS = {name: shutil.which(name, path=_PATH) for name in ("nginx", "caddy", "haproxy")}

_NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log crit; events {{}}
http {{
  access_log off; underscores_in_headers on;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{tls}; location / {{ proxy_pass http://{upstream};
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto https; }} }}
  server {{ listen 127.0.0.1:{plain}; location / {{ proxy_pass http://{upstream};
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto http; }} }}
}}
"""
_CADDY = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{tls} {{
  reverse_proxy {upstream} {{
    header_up X-Forwarded-Proto https
  }}
}}
http://127.0.0.1:{plain} {{
  reverse_proxy {upstream}
}}
"""
_HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  option forwardfor
  default_backend service
frontend tls
  bind 127.0.0.1:{tls}
  http-request set-header X-Forwarded-Proto https
frontend plain
  bind 127.0.0.1:{plain}
  http-request set-header X-Forwarded-Proto http
backend service
  server one {upstream}
"""


def _nginx(config: Path) -> list[str]:
    return ["-e", f"{config.parent}/error.log", "-c", str(config)]


def _caddy(config: Path) -> list[str]:
    return ["run", "--adapter", "caddyfile", "--config", str(config)]


def _haproxy(config: Path) -> list[str]:
    return ["-db", "-f", str(config)]


_KINDS: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "nginx": (_NGINX, _nginx),
    "caddy": (_CADDY, _caddy),
    "haproxy": (_HAPROXY, _haproxy),
}


@contextmanager
def proxy(kind: str, upstream: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run one until the end of the block. Gives the port that claims TLS, and the one that does not."""
    folder.mkdir()
    text, arguments = _KINDS[kind]
    tls, plain = free_port(), free_port()
    config = folder / "config"
    config.write_text(text.format(folder=folder, upstream=upstream, tls=tls, plain=plain))
    with running([str(PROGRAMS[kind]), *arguments(config)], folder, tls, plain):
        yield tls, plain


@contextmanager
def running(command: list[str], folder: Path, *ports: int) -> Iterator[None]:
    """A program, from when it listens on its ports until the end of the block."""
    log = folder / "log"
    environment = {"PATH": _PATH, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 30
        while not all(map(_listens, ports)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
