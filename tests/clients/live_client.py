#!/usr/bin/python3
"""A client of streaming recognition that is cut off, and goes on: Python, grpcio.

usage: live_client.py ADDRESS PROTO_FOLDER WAV TEXT...

WAV is a recording (16 bits, mono) in which the utterances TEXT are said, each after a pause, of which a server that was
started with `--model selftest` knows every word.

Prints `ok: ...` for each check. Exit: 0 all passed, 1 a check failed, 2 wrong usage, or no code could be made from the
protos, 77 a package is missing.
"""
import os
import queue
import sys
import tempfile
import wave

# Makes code of the protos, and checks.
from client import TIMEOUT, check, generate, modules, need, refused, stop

import grpc

# A connection of its own for each channel: else grpcio shares one.
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


class Stream:
    """A stream of one session, over a connection of its own."""

    def __init__(self, pb, rpc, address, config, metadata=None):
        self.pb = pb
        self.channel = grpc.insecure_channel(address, options=OPTIONS)
        self.requests = queue.Queue()
        stub = rpc.SpeechRecognitionStub(self.channel)
        self.call = stub.StreamingRecognize(iter(self.requests.get, None), timeout=2 * TIMEOUT, metadata=metadata)
        self.requests.put(pb.StreamingRecognizeRequest(config=config))
        first = next(self.call)
        need(first.WhichOneof("event") == "ready", f"the first event is {first.WhichOneof('event')}")
        self.ready = first.ready

    def send(self, samples, start, end, chunk):
        """Sends samples, 16 bits each, from one position to another."""
        for at in range(start, end, chunk):
            data = samples[2 * at : 2 * min(end, at + chunk)]
            self.requests.put(self.pb.StreamingRecognizeRequest(audio=self.pb.AudioChunk(data=data, first_sample=at)))

    def end(self):
        self.requests.put(self.pb.StreamingRecognizeRequest(end=self.pb.EndOfAudio()))

    def events(self):
        for response in self.call:
            kind = response.WhichOneof("event")
            yield kind, getattr(response, kind)

    def cut(self, how):
        if how == "close":
            self.channel.close()
        else:
            self.call.cancel()


def settings(pb, rate, **more):
    recognition = pb.RecognitionConfig(encoding=pb.INPUT_ENCODING_PCM16, sample_rate_hertz=rate)
    return pb.StreamingConfig(recognition=recognition, **more)


def whole(pb, rpc, address, rate, samples, texts):
    """In one go; gives the finals."""
    length = len(samples) // 2
    with check("in one go: each utterance, in order, and how it ended"):
        stream = Stream(pb, rpc, address, settings(pb, rate, interim_results=True))
        need(stream.ready.next_sample == 0, f"it begins at {stream.ready.next_sample}")
        need(stream.ready.sample_rate_hertz == rate, f"its clock is {stream.ready.sample_rate_hertz} Hz")
        stream.send(samples, 0, length, rate // 10)
        stream.end()
        events = list(stream.events())
        finals = [event for kind, event in events if kind == "final"]
        need([final.text for final in finals] == texts, f"heard {[final.text for final in finals]}")
        need([final.seq for final in finals] == list(range(1, len(texts) + 1)), "numbers with holes")
        kind, done = events[-1]
        need(kind == "done", f"the last event is {kind}")
        need(done.reason == pb.SessionDone.END_OF_AUDIO, f"reason {done.reason}")
        need((done.audio_end, done.finals, done.gaps) == (length, len(texts), 0), f"{done}")
        need(stream.call.code() == grpc.StatusCode.OK, f"status {stream.call.code()}")
        stream.cut("close")
    return finals


def cut_off(pb, rpc, address, rate, samples, calm, how):
    """Cut off twice, in the middle of an utterance; each final comes once."""
    length = len(samples) // 2
    with check(f"cut off twice ({how}), and resumed: each final once, the same as in one go"):
        stream = Stream(pb, rpc, address, settings(pb, rate))
        ready, finals = stream.ready, []
        for utterance in [1, 2]:
            # The middle of the next utterance: the one before it is decided by then.
            start, end = calm[utterance].audio_start, calm[utterance].audio_end
            stream.send(samples, stream.ready.next_sample, (start + end) // 2, rate // 10)
            for kind, event in stream.events():
                if kind == "final":
                    finals.append(event)
                    if event.seq == utterance:
                        break
            stream.cut(how)
            resume = pb.Resume(last_seq=finals[-1].seq, resume_key=ready.resume_key)
            stream = Stream(pb, rpc, address, settings(pb, rate, session_id=ready.session_id, resume=resume))
            need(stream.ready.session_id == ready.session_id, "another session")
            need(stream.ready.last_seq == utterance, f"last_seq {stream.ready.last_seq}")
            need(0 < stream.ready.next_sample <= (start + end) // 2, f"next_sample {stream.ready.next_sample}")
        stream.send(samples, stream.ready.next_sample, length, rate // 10)
        stream.end()
        events = list(stream.events())
        finals += [event for kind, event in events if kind == "final"]
        need([final.seq for final in finals] == [final.seq for final in calm], f"{[final.seq for final in finals]}")
        need(finals == calm, f"heard {finals} instead of {calm}")
        need(events[-1][0] == "done" and events[-1][1].audio_end == length, f"it ends with {events[-1]}")
        stream.cut("close")
    return ready


def main():
    if len(sys.argv) < 6:
        stop(2, __doc__)
    address, protos, path, *texts = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="speechctl-client-") as folder:
        generate(os.path.abspath(protos), folder)
        pb, rpc = modules("speechctl.v1.speech")
    with wave.open(path) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())

    calm = whole(pb, rpc, address, rate, samples, texts)
    for how in ["close", "cancel"]:
        ready = cut_off(pb, rpc, address, rate, samples, calm, how)
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        stub = rpc.SpeechRecognitionStub(channel)
        with check("with a wrong resume_key: NOT_FOUND"):
            resume = pb.Resume(resume_key="0" * 32)
            config = settings(pb, rate, session_id=ready.session_id, resume=resume)
            request = pb.StreamingRecognizeRequest(config=config)
            refused(grpc.StatusCode.NOT_FOUND, stub.StreamingRecognize, iter([request]))
    print("ok: all", flush=True)
    os._exit(0)  # no waiting for the threads of grpcio


main()
