"""No spoken word, fact or phone number reaches a log, whoever writes it."""

import json
import logging
import logging.handlers
import stat

import pytest

from echoic.memory.observe.logs import OneLine, WithoutWords, log_to

SECRET = "Biscuit"


@pytest.fixture
def written(tmp_path):
    """Gives a log file and undoes what `log_to` did to the root logger."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    path = tmp_path / "logs" / "talk.log"
    log_to(path, level=logging.DEBUG)
    yield path
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_fields_marked_as_words_are_taken_out(written):
    """LiveKit's `lk.pii.*`."""
    logging.getLogger("livekit.agents").warning(
        "received", extra={"lk.pii.user_input": SECRET, "text": SECRET}
    )
    assert SECRET not in written.read_text() and "received" in written.read_text()


def test_exception_texts_are_taken_out(written):
    """Its kind and place stay, also of its causes."""
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as exc:
            raise ValueError(f"{SECRET} failed") from exc
    except ValueError as exc:
        logging.getLogger("echoic.learn").error("learn.defect", exc_info=exc)
    (line,) = map(json.loads, written.read_text().splitlines())
    assert (
        SECRET not in str(line)
        and "ValueError" in line["error"]
        and "KeyError" in line["error"]
        and "test_logs.py" in line["error"]
    )


def test_arguments_of_libraries_are_taken_out(written):
    """arq logs a job's arguments, Mem0 formats its sentences itself."""
    logging.getLogger("arq.worker").warning("%s failed: %s", "learn:+4915112345", SECRET)
    logging.getLogger("mem0.memory.main").error(f"parsing {SECRET} failed")
    assert (
        SECRET not in written.read_text()
        and "+4915112345" not in written.read_text()
        and "failed" in written.read_text()
    )


def test_a_providers_answer_is_taken_out(written):
    """LiveKit puts it into its own sentence, and a provider may quote the caller."""
    logging.getLogger("livekit.agents").warning(
        f"failed to generate LLM completion: message='no {SECRET}', retrying in 0.1s"
    )
    assert SECRET not in written.read_text() and "failed to generate LLM completion" in written.read_text()


def test_our_fields_stay(written):
    """Constant event, facts as fields."""
    logging.getLogger("echoic.learn").info("learn.done", extra={"turns": 3})
    (line,) = map(json.loads, written.read_text().splitlines())
    assert (line["event"], line["turns"], line["level"]) == ("learn.done", 3, "info")


def test_only_the_owner_reads_the_file(written):
    """Ids and times are nobody else's business."""
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_costs_the_log_only(tmp_path):
    """Talking goes on."""
    (tmp_path / "file").write_text("")
    root = logging.getLogger()
    before = list(root.handlers)
    log_to(tmp_path / "file" / "talk.log")
    added = [one for one in root.handlers if one not in before]
    for handler in added:
        root.removeHandler(handler)
    assert not any(isinstance(handler, logging.FileHandler) for handler in added)


def test_the_filter_keeps_every_record():
    """It takes words out, never an event."""
    record = logging.LogRecord("livekit", logging.INFO, __file__, 1, "said %s", (SECRET,), None)
    assert WithoutWords().filter(record) and json.loads(OneLine().format(record))["event"] == "said %s"
