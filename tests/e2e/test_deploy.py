"""The files of deploy/: systemd's and nginx's own programs read them, and nginx serves with them."""

import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.processes import free_port
from tests.e2e.production import command_line, production
from tests.e2e.proxies import PROGRAMS, running
from tests.e2e.server import ROOT, manage
from vaultsite import serving

pytestmark = pytest.mark.only_on("sqlite")  # the database is not what is tried here

DEPLOY = ROOT / "deploy"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
ANALYZE = shutil.which("systemd-analyze")


@pytest.fixture
def units(tmp_path):
    """With this clone in the place of /opt/vaultsite, since programs have to be there."""
    folder = tmp_path / "systemd"
    shutil.copytree(DEPLOY / "systemd", folder)
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_text(file.read_text().replace("/opt/vaultsite", str(ROOT)))
    return folder


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_units(units):
    # The colon: its own units are looked up too, such as network-online.target.
    environment = {"SYSTEMD_UNIT_PATH": f"{units}:"}
    files = sorted(map(str, units.glob("vaultsite-*.*")))
    files = [file for file in files if not file.endswith(".d")]
    assert len(files) == 4
    done = subprocess.run(
        [ANALYZE, "verify", "--man=no", *files],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, _about(done.stderr, "vaultsite")) == (0, [])
    for name in ("server", "seal", "daily"):
        rated = subprocess.run(
            [ANALYZE, "security", "--offline=yes", "--threshold=20", f"vaultsite-{name}.service"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        # 20: 2.0 on its scale of exposure, from 0 to 10; a unit without hardening has 9.6.
        assert rated.returncode == 0, rated.stdout


def _about(text, what):
    return [line for line in text.splitlines() if what in line]


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_would_find_what_is_wrong(units):
    file = units / "vaultsite-seal.service"
    file.write_text(file.read_text().replace("[Service]", "[Service]\nNonsense=yes"))
    environment = {"SYSTEMD_UNIT_PATH": f"{units}:"}
    command = [ANALYZE, "verify", "--man=no", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Nonsense" in done.stderr


def test_the_commands_of_the_units_exist(units, tmp_path):
    home = tmp_path / "var"
    environment = {"PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", "VAULTSITE_HOME": str(home)}
    manage("quickstart", environment=environment)
    environment |= {"STATE_DIRECTORY": str(home)}
    old = home / "backup-20200101T000000Z"
    old.touch()
    os.utime(old, (0, 0))
    manage("seal_audit", "--checkpoint", str(home / "audit.checkpoint"), environment=environment)
    lines = re.findall(r"^ExecStart=(.*)$", (units / "vaultsite-daily.service").read_text(), re.M)
    assert len(lines) == 5
    for line in lines:
        # As systemd would: `%%` is a percent sign, `$$` a dollar sign, `%S` the folder of states.
        command = line.replace("%%", "%").replace("$$", "$").replace("%S/vaultsite", str(home))
        words = shlex.split(command)  # no shell, as systemd
        subprocess.run(words, cwd=ROOT, env=environment, check=True)
    (backup,) = home.glob("backup-*Z")
    assert backup.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def proxied(tmp_path):
    """A production server behind nginx with the example's configuration, on ports of our own."""
    assert NGINX is not None
    folder = tmp_path / "nginx"
    folder.mkdir()
    settings = {
        "INSECURE_HTTP": "off",
        "TRUST_X_FORWARDED_PROTO": "on",
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "METRICS_NETWORKS": "127.0.0.1/32",
        "ALLOWED_HOSTS": "127.0.0.1,vault.example.com",
    }
    with production(tmp_path / "app", **settings) as server:
        tls, plain = free_port(), free_port()
        _certificate(folder)
        text = (DEPLOY / "nginx.conf").read_text()
        for old, new in (
            ("server 127.0.0.1:8000", f"server {server.base_url.removeprefix('http://')}"),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;"),
            ("/etc/ssl/vault.example.com.pem", f"{folder}/cert.pem"),
            ("/etc/ssl/private/vault.example.com.key", f"{folder}/key.pem"),
            ("/var/log/nginx/", f"{folder}/"),
        ):
            assert old in text
            text = text.replace(old, new)
        text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
        (folder / "site.conf").write_text(text)
        temporary = "".join(
            f"{kind}_temp_path {folder}/tmp;"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log crit;"
            f" events {{}} http {{ access_log off; {temporary} include {folder}/site.conf; }}"
        )
        command = [NGINX, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        process = subprocess.Popen(command)
        try:
            yield Proxied(server, folder, tls, plain)
        finally:
            process.send_signal(signal.SIGQUIT)
            assert process.wait(timeout=30) == 0


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Proxied:
    def __init__(self, server, folder, tls, plain):
        self.server, self.folder, self.tls, self.plain = server, folder, tls, plain
        context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), NoRedirect()
        )
        self._wait()

    def request(self, method, path, body=None, *, plain=False, **headers):
        base = f"http://127.0.0.1:{self.plain}" if plain else f"https://127.0.0.1:{self.tls}"
        request = urllib.request.Request(base + path, data=body, method=method)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with self._opener.open(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def _wait(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                assert self.request("GET", "/livez")[0] == 200
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def _certificate(folder: Path) -> None:
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=vault"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", *command.split(), *names, *files], check=True, capture_output=True)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_serves_by_tls_says_who_calls_and_logs_no_path(proxied):
    demo = proxied.server.quickstart()
    bearer = {"Authorization": f"Bearer {demo['token']}"}
    url = f"/v1/vaults/{demo['vault_id']}/secrets/of/the-path"
    put = proxied.request(
        "PUT", url, b'{"type":"note","value":"v"}', **bearer, X_Forwarded_For="6.6.6.6"
    )
    assert put[0] == 201
    # An encoded slash reaches the service as it was sent; so does a doubled one.
    assert proxied.request("GET", url.replace("of/", "of%2F"), **bearer)[0] == 200
    assert proxied.request("GET", url.replace("of/", "of//"), **bearer)[0] == 400
    status, headers, _ = proxied.request("GET", "/v1/health")
    assert status == 200
    assert "max-age=31536000" in headers["Strict-Transport-Security"]
    # The largest value in its longest spelling fits; what is beyond is nginx's to refuse.
    value = b'{"type":"note","value":"' + b"\\u0041" * 1024 * 1024 + b'"}'
    assert proxied.request("PUT", url, value, **bearer)[0] == 201
    assert proxied.request("PUT", url, value + b" " * 1024 * 1024, **bearer)[0] == 413
    # Plain HTTP is redirected, by nginx and by the service.
    assert proxied.request("GET", "/v1/health", plain=True)[0] == 301
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(proxied.server.base_url + "/v1/health", timeout=10)
    assert proxied.request("GET", "/metrics")[0] == 200
    events = proxied.request("GET", "/v1/audit/events?action=secret.write", **bearer)[2]
    assert b'"ip_address":"127.0.0.1"' in events
    assert b"6.6.6.6" not in events
    logs = "".join(file.read_text() for file in [*proxied.folder.glob("*.log"), proxied.server.log])
    assert put[1]["X-Request-Id"] in (proxied.folder / "vaultsite.log").read_text()
    assert put[1]["X-Request-Id"] in proxied.server.log.read_text()
    for secret in ("the-path", demo["vault_id"], demo["token"]):
        assert secret not in logs
    # Nor does it when the service is away.
    proxied.server.process.send_signal(signal.SIGTERM)
    proxied.server.process.wait(timeout=30)
    assert proxied.request("GET", url)[0] == 502
    deadline = time.monotonic() + 10
    while " 502 " not in (logs := "".join(map(Path.read_text, proxied.folder.glob("*.log")))):
        assert time.monotonic() < deadline  # it is written after the answer
        time.sleep(0.05)
    assert "the-path" not in logs


_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_old_tls_is_refused_and_browsers_are_told_to_be_careful(proxied):
    for path in ("/v1/health", "/v1/vaults", "/v1/nowhere", "/docs", "/accounts/login/"):
        _, headers, _ = proxied.request("GET", path)
        assert {name: headers[name] for name in _HEADERS} == _HEADERS, path
        for cookie in headers.get_all("Set-Cookie") or []:
            assert path.startswith("/accounts")
            assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert headers.get_all("Set-Cookie")
    status, headers, _ = proxied.request("GET", "/v1/health", plain=True)
    assert (status, headers["Location"][:8]) == (301, "https://")
    for newest, is_spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_3, True)):
        assert _speaks(proxied.tls, newest) is is_spoken


def _speaks(port: int, newest: ssl.TLSVersion) -> bool:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-cipher", "ALL:@SECLEVEL=0"]
    command += ["-tls1_1"] if newest is ssl.TLSVersion.TLSv1_1 else ["-tls1_3"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
    return done.returncode == 0


def test_the_unit_starts_the_server_with_the_options_of_make_run():
    ours, units = set(_options(serving.command(port=1, workers=2))), set(_options(command_line(1)))
    assert ours - units == {("--log-level", "warning")}
    assert {name for name, _ in units - ours} == {"--log-config", "--respawn-failed-workers"}


def _options(words):
    """Each option of a command line with its value, where it has one."""
    for word, after in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            yield word, "" if after.startswith("--") else after


@pytest.mark.parametrize(
    ("program", "arguments", "file"),
    [
        ("caddy", ["validate", "--adapter", "caddyfile", "--config"], "Caddyfile"),
        ("haproxy", ["-c", "-f"], "haproxy.cfg"),
    ],
)
def test_other_proxies_take_their_examples_and_hand_requests_on(tmp_path, program, arguments, file):
    if PROGRAMS[program] is None:
        pytest.skip(f"{program} is not installed")
    _certificate(tmp_path)
    both = (tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text()
    (tmp_path / "both.pem").write_text(both)
    settings = {
        "INSECURE_HTTP": "off",
        "TRUST_X_FORWARDED_PROTO": "on",
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "METRICS_NETWORKS": "192.0.2.1/32",
        "ALLOWED_HOSTS": "127.0.0.1",
    }
    with production(tmp_path / "app", **settings) as server:
        tls, plain = free_port(), free_port()
        text = (DEPLOY / file).read_text()
        for old, new in {
            "127.0.0.1:8000": server.base_url.removeprefix("http://"),
            "bind :443": f"bind 127.0.0.1:{tls}",
            "bind :80": f"bind 127.0.0.1:{plain}",
            "/etc/ssl/private/vault.example.com.pem": f"{tmp_path}/both.pem",
            "vault.example.com {": f"https://127.0.0.1:{tls} {{\n\ttls {tmp_path}/cert.pem"
            f" {tmp_path}/key.pem",
        }.items():
            text = text.replace(old, new)
        if program == "caddy":
            text = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text
        config = tmp_path / file
        config.write_text(text)
        command = [PROGRAMS[program], *arguments, str(config)]
        environment = {"PATH": "/usr/sbin:/usr/bin", "HOME": str(tmp_path)}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        run = ["run", *arguments[1:]] if program == "caddy" else ["-db", "-f"]
        with running([PROGRAMS[program], *run, str(config)], tmp_path, tls):
            through = Proxied(server, tmp_path, tls, plain)
            demo = server.quickstart()
            bearer = {"Authorization": f"Bearer {demo['token']}"}
            url = f"/v1/vaults/{demo['vault_id']}/secrets/of%2Fthe-path"
            content = b'{"type":"note","value":"v"}'
            put = through.request("PUT", url, content, **bearer, X_Forwarded_For="6.6.6.6")
            assert put[0] == 201
            assert through.request("GET", "/metrics", X_Forwarded_For="192.0.2.1")[0] == 404
            events = json.loads(through.request("GET", "/v1/audit/events?limit=5", **bearer)[2])
            addresses = {each.get("ip_address") for each in events["events"]}
            assert addresses <= {"127.0.0.1", None}
