"""`bao agent` and `bao proxy`, unchanged, against this service and against OpenBao."""

import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.e2e.processes import free_port
from tests.e2e.vault_targets import BAO

pytestmark = pytest.mark.no_cover

_AUTO_AUTH = """
vault {{ address = "{address}" }}
auto_auth {{
  method "approle" {{
    config = {{
      role_id_file_path = "{folder}/role"
      secret_id_file_path = "{folder}/secret"
      remove_secret_id_file_after_reading = false
    }}
  }}
  sink "file" {{ config = {{ path = "{folder}/token" }} }}
}}
"""
_SECRET = '{{{{ with secret "clients/data/{path}" }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}'
_TEMPLATE = """
template_config {{ static_secret_render_interval = "1s" }}
template {{
  contents = <<EOT
password={secret}
EOT
  destination = "{folder}/rendered"
}}
"""
_SUPERVISOR = """
template_config {{ static_secret_render_interval = "1s" }}
env_template "DB_PASSWORD" {{
  contents = <<EOT
{secret}
EOT
  error_on_missing_key = true
}}
exec {{
  command = ["/bin/sh", "{folder}/child.sh"]
  restart_on_secret_changes = "always"
  restart_stop_signal = "SIGTERM"
}}
"""
_PROXY = """
api_proxy {{ use_auto_auth_token = true }}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
"""


@contextmanager
def running(kind, target, folder, *parts, **values):
    """`bao agent` or `bao proxy` with a configuration made of parts."""
    (folder / "role").write_text(target.role_id)
    (folder / "secret").write_text(target.secret_id)
    values |= {"address": target.address, "folder": folder}
    config = folder / "config.hcl"
    config.write_text("".join(part.format(**values) for part in (_AUTO_AUTH, *parts)))
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(BAO), kind, f"-config={config}"],
            env=target.environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield lambda: log.read_text()
    finally:
        process.terminate()
        process.wait(timeout=30)


def until(holds, log):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, log()[-3000:]
        time.sleep(0.2)


def text_of(file):
    return file.read_text() if file.exists() else ""


def put(target, path, password):
    done = target.bao("kv", "put", f"clients/{path}", f"password={password}")
    assert done.returncode == 0, done.stderr


def folder_of(tmp_path, target):
    folder = tmp_path / target.name
    folder.mkdir()
    return folder


def test_the_agent_signs_in_and_its_template_follows_a_change(targets, tmp_path):
    for target in targets:
        folder, path = folder_of(tmp_path, target), "agent/template"
        put(target, path, "first")
        secret = _SECRET.format(path=path)
        with running("agent", target, folder, _TEMPLATE, secret=secret) as log:
            until(lambda f=folder: text_of(f / "rendered") == "password=first\n", log)
            put(target, path, "second")
            until(lambda f=folder: text_of(f / "rendered") == "password=second\n", log)
        token = (folder / "token").read_text()
        assert target.bao("kv", "get", f"clients/{path}", token=token).returncode == 0


def test_the_agent_runs_a_child_with_its_secrets_and_restarts_it_on_a_change(targets, tmp_path):
    for target in targets:
        folder, path = folder_of(tmp_path, target), "agent/supervised"
        put(target, path, "first")
        child = f'echo "$DB_PASSWORD" >> {folder}/seen\nexec sleep 300\n'
        (folder / "child.sh").write_text(child)
        secret = _SECRET.format(path=path)
        with running("agent", target, folder, _SUPERVISOR, secret=secret) as log:
            until(lambda f=folder: text_of(f / "seen").split() == ["first"], log)
            put(target, path, "second")
            until(lambda f=folder: text_of(f / "seen").split() == ["first", "second"], log)


def test_the_proxy_signs_in_for_clients_that_have_no_token(targets, tmp_path):
    ask = ("kv", "get", "-field=password", "clients/agent/proxied")
    for target in targets:
        folder = folder_of(tmp_path, target)
        put(target, "agent/proxied", "through")
        port = free_port()
        with running("proxy", target, folder, _PROXY, port=port) as log:
            here = {"BAO_ADDR": f"http://127.0.0.1:{port}"}
            until(lambda t=target, e=here: t.bao(*ask, token="", env=e).returncode == 0, log)
            assert target.bao(*ask, token="", env=here).stdout == "through"
            change = target.bao(
                "kv", "put", "clients/agent/proxied", "password=x", token="", env=here
            )
            assert change.returncode == 0
