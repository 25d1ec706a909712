"""Our own LiveKit server: on loopback only, found again after a kill, and never in another's way."""

import os
import signal
import time
from pathlib import Path

import psutil

from echoic.local.dev.command import Quiet
from echoic.local.dev.livekit_server import LiveKitServer, open_livekit
from echoic.memory.hosting.state import read_state
from tests.processes import is_alive, wait_gone, wait_until
from tests.rooms.harness import Caller

LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def pid_of(folder: Path) -> int:
    state = read_state(folder / "run", "livekit")
    assert state is not None
    return state.pids["livekit"]


async def can_talk(livekit: LiveKitServer, voice_pcm: bytes, room: str) -> None:
    async with Caller(livekit, room, "alice") as alice, Caller(livekit, room, "bob") as bob:
        begun = time.monotonic()
        await alice.say(voice_pcm)
        await bob.wait_heard(begun)


async def test_two_stacks_side_by_side(program: Path, tmp_path: Path, room: str):
    """A room of the one server is not in the other, and each ends with its own stack."""
    tone = bytes([0, 20] * 24_000)
    with open_livekit(tmp_path / "a", {}, program=program) as a:
        with (
            open_livekit(tmp_path / "b", {}, program=program) as b,
            open_livekit(tmp_path / "b", {}, program=program) as again,
        ):
            assert a.url != b.url and a.api_secret != b.api_secret and b == again
            first, second = pid_of(tmp_path / "a"), pid_of(tmp_path / "b")
            async with Caller(a, room, "alice") as alice, Caller(b, room, "bob") as bob:
                assert not alice.room.remote_participants and not bob.room.remote_participants
            await can_talk(b, tone, room)
        wait_gone([second])
        assert is_alive(first)
    wait_gone([first])


async def test_nothing_outside_is_contacted(program: Path, tmp_path: Path, room: str):
    """While two clients talk, every socket of the server is a loopback one, the listening ones too."""
    with open_livekit(tmp_path / "a", {}, program=program) as livekit:
        await can_talk(livekit, bytes([0, 20] * 24_000), room)
        sockets = psutil.Process(pid_of(tmp_path / "a")).net_connections("inet")
    assert sockets
    assert not [
        one for one in sockets if one.laddr.ip not in LOOPBACK or (one.raddr and one.raddr.ip not in LOOPBACK)
    ]


async def test_one_that_is_killed_is_found_again_at_the_same_place(program: Path, tmp_path: Path, room: str):
    """Its callers come back by themselves: they know no other address."""
    with open_livekit(tmp_path / "a", {}, program=program) as livekit:
        killed = pid_of(tmp_path / "a")
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: pid_of(tmp_path / "a") != killed)
        await can_talk(livekit, bytes([0, 20] * 24_000), room)


async def test_whether_somebody_is_in_a_call_is_seen(program: Path, tmp_path: Path, room: str):
    """By this a model of this machine learns between calls only.

    A server that does not answer has no calls.
    """
    with open_livekit(tmp_path / "a", {}, program=program) as livekit:
        is_quiet = Quiet(livekit)
        assert is_quiet()
        async with Caller(livekit, room, "alice"):
            wait_until(lambda: not is_quiet())
        wait_until(is_quiet)
    assert Quiet(livekit)()
