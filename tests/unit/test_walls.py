"""What the settings make of the sandboxes' surroundings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_ashigaru.settings import ConfigError, load_settings
from mcp_ashigaru.walls import ground_here, recipes_of
from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def shown(home: Path, bundle: Path) -> Path | None:
    settings = load_settings(state_dir=home, setup_ca_bundle=bundle)
    return recipes_of(settings, FakeContainers(lambda _spec: exits())).ca_bundle


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ash") as path:
        yield Path(path)


def test_certificates_are_shown_as_a_copy_that_lies_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "server.key").write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    bundle = tmp_path / "ca.pem"
    bundle.write_text(CERTIFICATE, encoding="utf-8")
    copy = shown(home, bundle)
    assert copy is not None
    assert copy.read_text(encoding="utf-8") == CERTIFICATE
    assert list(copy.parent.iterdir()) == [copy]


@pytest.mark.parametrize("text", ["", "nothing", f"{CERTIFICATE}-----BEGIN RSA PRIVATE KEY-----\n"])
def test_a_bundle_that_holds_a_key_or_no_certificate_is_refused(home: Path, tmp_path: Path, text: str) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(text, encoding="utf-8")
    for named in (bundle, tmp_path / "none.pem", tmp_path):
        with pytest.raises(ConfigError):
            shown(home, named)


def test_a_state_directory_that_cannot_be_made_is_said_in_a_sentence(home: Path) -> None:
    (home / "file").write_text("", encoding="utf-8")
    with (
        pytest.raises(ConfigError, match="cannot be made; correct its rights"),
        ground_here(load_settings(state_dir=home / "file" / "state")),
    ):
        pass
