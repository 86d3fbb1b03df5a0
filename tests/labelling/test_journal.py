import hashlib
import io

import pytest

from textlstm.labelling.journal import DigestStream


@pytest.mark.parametrize("waiting", [1, 5, 10**6])
def test_what_is_written_arrives_whole_and_hashed(monkeypatch, waiting):
    monkeypatch.setattr("textlstm.labelling.journal._WAITING_BYTES", waiting)
    raw = io.BytesIO()
    stream = DigestStream(raw)
    changing = bytearray(b"cd")
    assert [stream.write(b"ab"), stream.write(memoryview(changing)), stream.write(b"efgh")] == [2, 2, 4]
    changing[:] = b"xx"
    assert (stream.num_bytes, stream.tell()) == (8, 8)
    assert stream.sha256 == hashlib.sha256(b"abcdefgh").hexdigest()
    assert raw.getvalue() == b"abcdefgh"


def test_the_digest_can_be_asked_for_after_the_other_stream_is_closed():
    raw = io.BytesIO()
    stream = DigestStream(raw)
    stream.write(b"ab")
    stream.flush()
    raw.close()
    assert stream.sha256 == hashlib.sha256(b"ab").hexdigest()


def test_a_full_disk_is_reported_at_the_flush(monkeypatch):
    monkeypatch.setattr("textlstm.labelling.journal._WAITING_BYTES", 100)

    class Full(io.RawIOBase):
        def write(self, content):
            raise OSError(28, "No space left on device")

    stream = DigestStream(Full())
    stream.write(b"ab")
    with pytest.raises(OSError, match="No space"):
        stream.flush()
