"""LiveKit for a laptop: which server is taken or built, and that ours stays on loopback."""

import os
import threading
from pathlib import Path

import pytest

from echoic.local.dev.livekit_program import VERSION, find_program
from echoic.local.dev.livekit_server import config, open_livekit
from echoic.local.ports import Address, are_free, free_ports, is_ok
from echoic.memory.errors import ConfigInvalid
from echoic.memory.hosting.files import write_private
from tests.web import json_server

GO_THAT_BUILDS = """#!/bin/sh
echo "$@" >> "$GOBIN/../asked"
echo "fetching one module" >&2
echo '#!/bin/sh' > "$GOBIN/server"
chmod +x "$GOBIN/server"
"""
GO_THAT_FAILS = """#!/bin/sh
echo "go: module lookup disabled" >&2
exit 1
"""


def programs(folder: Path, **scripts: str) -> dict[str, str]:
    """An environment whose PATH holds only these programs, and what a script needs."""
    folder.mkdir(exist_ok=True)
    for name, script in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(script)
        path.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin"}


def test_a_named_server_is_taken_as_it_is(tmp_path: Path):
    """Nothing is started or written, and its secret is not shown."""
    env = {"LIVEKIT_URL": "wss://calls.example", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}
    with open_livekit(tmp_path / "data", env) as livekit:
        assert livekit.environment == env and not livekit.is_ours
        assert "secret" not in repr(livekit)
    assert not (tmp_path / "data").exists()


def test_a_named_server_needs_its_keys(tmp_path: Path):
    """An address without its secret ends the start by naming the variable."""
    with (
        pytest.raises(ConfigInvalid, match="LIVEKIT_API_SECRET"),
        open_livekit(tmp_path, {"LIVEKIT_URL": "ws://x", "LIVEKIT_API_KEY": "k"}),
    ):
        pass


def test_one_on_the_path_comes_before_building(tmp_path: Path):
    """What is installed is used: Go is not even asked."""
    env = programs(tmp_path / "bin", livekit_server="#!/bin/sh\n", go=GO_THAT_FAILS)
    assert find_program(tmp_path / "data", env) == tmp_path / "bin" / "livekit-server"


def test_without_server_and_go_a_sentence_says_what_to_do(tmp_path: Path):
    """It names all three ways out: the server, Go, or an address."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigInvalid, match=r"(?s)livekit-server.*Go.*LIVEKIT_URL"):
        find_program(tmp_path / "data", {"PATH": str(empty)})


def test_it_is_built_once_even_if_two_ask(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The pinned version, said on standard error; the second one waits for the first."""
    env, data, found = programs(tmp_path / "bin", go=GO_THAT_BUILDS), tmp_path / "data", []
    data.mkdir()
    askers = [threading.Thread(target=lambda: found.append(find_program(data, env))) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert found == [data / "bin" / f"livekit-server-{VERSION}"] * 2 and found[0].exists()
    assert (data / "bin" / "asked").read_text().count(f"@v{VERSION}") == 1
    assert "Building LiveKit server" in capfd.readouterr().err


def test_a_build_that_fails_says_why(tmp_path: Path):
    """Go's own words reach the person at the terminal."""
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(ConfigInvalid, match="module lookup disabled"):
        find_program(data, programs(tmp_path / "bin", go=GO_THAT_FAILS))


def test_ours_names_no_address_outside():
    """Every address in it is loopback; a list without STUN servers would mean those of others."""
    rtc = config(Address(1, 2, "secret"))["rtc"]
    assert (
        rtc["stun_servers"] == ["127.0.0.1:9"]
        and rtc["node_ip"] == "127.0.0.1"
        and rtc["use_external_ip"] is False
    )
    assert config(Address(1, 2, "secret"))["bind_addresses"] == ["127.0.0.1"]


def test_free_ports_differ_and_are_free():
    """A server needs several at once: no two of them are the same."""
    ports = free_ports(5)
    assert len(set(ports)) == 5 and are_free(ports)


def test_a_server_is_ok_once_it_says_so():
    """Not while it answers anything else, and not when nobody listens any more."""
    with json_server({"/": (200, {}), "/health": (503, {})}) as address:
        port = int(address.rpartition(":")[2])
        assert is_ok(port, "/") and not is_ok(port, "/health")
    assert not is_ok(port, "/")


def test_what_holds_a_key_is_for_its_owner_only(tmp_path: Path):
    """Also where an older one was open to all; and nothing else is left beside it."""
    file = tmp_path / "livekit.address"
    file.write_text("{}")
    file.chmod(0o644)
    write_private(file, {"secret": "s"})
    assert (
        file.stat().st_mode & 0o777 == 0o600
        and file.read_text() == '{"secret": "s"}'
        and list(tmp_path.iterdir()) == [file]
    )
