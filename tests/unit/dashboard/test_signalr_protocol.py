from __future__ import annotations

import pytest

from dashboard.signalr import protocol
from dashboard.signalr.protocol import MOST_CHARACTERS, ProtocolError, Records


def test_records_are_cut_wherever_the_frames_end() -> None:
    records = Records()
    assert list(records.add('{"a":')) == []
    assert list(records.add('1}\x1e{"b":2}\x1e{"c"')) == ['{"a":1}', '{"b":2}']
    assert list(records.add(":3}\x1e")) == ['{"c":3}']


def test_a_message_has_a_largest_size_in_one_frame_or_in_many() -> None:
    with pytest.raises(ProtocolError, match="32,768"):
        list(Records().add("x" * (MOST_CHARACTERS + 1) + "\x1e"))
    records = Records()
    list(records.add("x" * MOST_CHARACTERS))
    with pytest.raises(ProtocolError):
        list(records.add("x"))


def test_messages_are_written_as_the_protocol_says() -> None:
    assert protocol.handshake_answer() == "{}\x1e"
    assert protocol.handshake_answer("no") == '{"error":"no"}\x1e'
    assert protocol.ping() == '{"type":6}\x1e'
    assert protocol.close() == '{"type":7}\x1e'
    assert protocol.close("over", may_return=True) == '{"type":7,"error":"over","allowReconnect":true}\x1e'
    assert protocol.invocation("OrderUpdated", {"n": "ї"}) == (
        '{"type":1,"target":"OrderUpdated","arguments":[{"n":"ї"}]}\x1e'
    )
    assert protocol.completion("1", result=None) == '{"type":3,"invocationId":"1","result":null}\x1e'
    assert protocol.completion("1", error="no") == '{"type":3,"invocationId":"1","error":"no"}\x1e'


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a":"\ud800"}', "[" * 100_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        protocol.read(text)


@pytest.mark.parametrize("version", [1, 2])
def test_a_handshake_for_json_is_taken(version: int) -> None:
    protocol.read_handshake(f'{{"protocol":"json","version":{version}}}')
