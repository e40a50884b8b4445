"""The documentation names what there is."""

import re

from django.core.management import get_commands

from tests.e2e.server import ROOT

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def read_by_settings():
    text = (ROOT / "vaultsite" / "settings.py").read_text()
    return set(re.findall(r'(?:env\.\w+|_whole)\(\s*"([A-Z_]+)"', text))


def documented():
    table = OPERATIONS.partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}


def test_every_setting_is_explained_and_no_other():
    assert documented() == read_by_settings()


def test_the_example_of_production_names_settings_that_exist():
    text = (ROOT / "deploy" / "vaultsite.env").read_text()
    names = set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))
    assert names
    assert names <= read_by_settings()
    deployment = (ROOT / "docs" / "deployment.md").read_text()
    assert {name for name in names if f"`{name}`" not in deployment} == set()


def test_every_command_is_mentioned():
    commands = {
        name for name, app in get_commands().items() if app in ("secrets_app", "vaultsite.accounts")
    }
    pages = "".join(page.read_text() for page in [*ROOT.glob("docs/*.md"), ROOT / "README.md"])
    assert {name for name in commands if name not in pages} == set()
    named = set(re.findall(r"manage\.py ([a-z_]+)", pages))
    assert named - get_commands().keys() == set()


def test_the_architecture_page_names_every_module_of_the_top_levels():
    """What is not named there cannot be found there. `migrations` and `templates` are Django's."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    folders = (ROOT / "vaultsite", ROOT / "secrets_app", ROOT / "secrets_app" / "services")
    names = {
        each.name + ("/" if each.is_dir() else "")
        for folder in folders
        for each in folder.iterdir()
        if (each.suffix == ".py" and each.stem != "__init__")
        or (each.is_dir() and (each / "__init__.py").is_file())
    } - {"migrations/", "apps.py"}
    assert {name for name in names if name not in page} == set()


def test_every_link_between_pages_leads_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    links = [
        (page.relative_to(ROOT), target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target
    ]
    assert links
    assert {link for link in links if not (ROOT / link[0].parent / link[1]).exists()} == set()
