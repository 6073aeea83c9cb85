#!/usr/bin/python3
"""A client of spoken sessions (`tts.TTSService`), made from the contract alone: Python, grpcio.

usage: spoken_client.py PHASE ADDRESS PROTO_FOLDER [--FLAG VALUE]...

PHASE
  speak   says --text, and hears it to its end
  pause   the same, with a PAUSE each time that so many frames were heard as --at says, and a RESUME after --hold seconds
  stop    the same, with a STOP there (the first of --at); then says --again in the same session

FLAGS
  --model NAME          who speaks ["espeak"]
  --session NAME        the name of the session [a new one]
  --option NAME=VALUE   an option of the session, such as pacing=none; may be given more than once
  --text TEXT           what is said
  --pieces KIND         words, characters or whole: how it is written [words]
  --pauses S,S,...      seconds before each piece but the first, over and over [0]
  --at N,N,...          after how many frames a command is given [10]
  --hold S              how long a pause lasts, after it has fallen silent [0.5]
  --again TEXT          what is said after the STOP [--text]
  --read-ms MS          how long this reader takes for each frame [0]
  --tell N,N,...        print {"event": "heard", "frames": N} when so many frames were heard
  --slack N             frames that may be late in this process, on a busy machine [0]
  --wav FILE            where to write what was heard; after a STOP, of what was said again
  --stopped FILE        where to write what was heard before the STOP

Prints one line of JSON for each check: {"check": ..., "ok": true or false, and what was seen}. All checks are made, also
after one that failed, as long as the call goes on. Exit: 0 all passed, 1 one failed, 2 wrong usage, or no code could be
made from the protos, 77 a package is missing.

What may arrive after a PAUSE or STOP was acknowledged: what was on the way then, for it cannot be recalled. Of a server
that keeps to real time these are no more frames than it may be ahead of the listener (`lookahead_ms`), and one: more
would have been sent too early, or after the acknowledgement. With pacing=none it is what transport and windows hold,
whatever that is; so there the client lets it arrive, and only then demands silence. In both cases the silence must come,
and last.
"""
import argparse
import itertools
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
import wave

import client

import grpc

BYTES = 1920  # of a frame: 20 ms, 48,000 Hz, 16 bits, mono
RATE = 48000
LENGTH_MS = 20
LOOKAHEAD_MS = 100  # usual
QUIET = 0.3  # seconds without a frame: what was on the way has arrived
TIMEOUT = 30  # seconds for whatever must happen
TOTAL = 240  # seconds for everything
PROTO = "tts/tts_service.proto"

# A connection of its own, and no proxy of the environment.
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]

failed = []


def tell(what, ok, **seen):
    """One line for a check."""
    if not ok:
        failed.append(what)
    print(json.dumps({"check": what, "ok": bool(ok), **seen}), flush=True)
    return ok


def event(name, **seen):
    print(json.dumps({"event": name, **seen}), flush=True)


def leave():
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # no waiting for the threads of grpcio


def give_up(what, **seen):
    tell(what, False, **seen)
    leave()


def pieces_of(text, kind):
    if kind == "whole":
        return [text]
    if kind == "characters":
        return list(text)
    return re.findall(r"\S+\s*|\s+", text)


class Utterance:
    """One text on its way, and what was heard of it: each frame is looked at by a thread, as soon as it is there."""

    def __init__(self, pb, stub, session, text, args):
        self.pb, self.session, self.args = pb, session, args
        self.changed = threading.Condition()
        self.audio = bytearray()
        self.frames = 0  # of sound
        self.arrived = time.monotonic()  # the last of them
        self.problems = []
        self.final = None  # its number
        self.status = None  # how the stream ended
        self.detail = ""
        self.told = sorted(args.tell)
        self.call = stub.Synthesize(self.write(text), timeout=TOTAL)
        threading.Thread(target=self.read, daemon=True).start()

    def write(self, text):
        pauses, last = itertools.cycle(self.args.pauses), 0
        for last, piece in enumerate(pieces_of(text, self.args.pieces), start=1):
            if last > 1:
                time.sleep(next(pauses))
            yield self.pb.TextChunk(session_id=self.session, text=piece, sequence_number=last)
        yield self.pb.TextChunk(session_id=self.session, is_final=True, sequence_number=last + 1)

    def read(self):
        try:
            for count, frame in enumerate(self.call, start=1):
                with self.changed:
                    self.look_at(count, frame)
                    self.changed.notify_all()
                if self.args.read_ms:
                    time.sleep(self.args.read_ms / 1000)
            status = self.call.code()
        except grpc.RpcError as error:
            status, self.detail = error.code(), error.details()
        except Exception as error:  # whatever it is, somebody waits for the end
            status, self.detail = None, f"{type(error).__name__}: {error}"
        with self.changed:
            self.status = status.name if status else "NONE"
            self.changed.notify_all()

    def look_at(self, count, frame):
        def need(condition, what):
            if not condition:
                self.problems.append(f"frame {count}: {what}")

        need(frame.session_id == self.session, f"session {frame.session_id[:40]!r}")
        need(frame.sequence_number == count, f"number {frame.sequence_number}")
        need(frame.sample_rate == RATE, f"{frame.sample_rate} Hz")
        need(frame.frame_duration_ms == LENGTH_MS, f"{frame.frame_duration_ms} ms")
        need(self.final is None, "after the final one")
        if frame.is_final:
            need(not frame.audio_data, f"the final one has {len(frame.audio_data)} bytes")
            self.final = frame.sequence_number
            return
        need(len(frame.audio_data) == BYTES, f"{len(frame.audio_data)} bytes")
        self.audio += frame.audio_data
        self.frames += 1
        self.arrived = time.monotonic()
        while self.told and self.told[0] <= self.frames:
            event("heard", frames=self.told.pop(0))

    def wait(self, what, is_there):
        """Waits for something; gives whether it came."""
        with self.changed:
            self.changed.wait_for(lambda: is_there() or self.status is not None, TIMEOUT)
            if is_there():
                return True
        return tell(what, False, frames=self.frames, status=self.status, detail=self.detail)

    def hears(self, frames):
        if not self.wait(f"{frames} frames are heard", lambda: self.frames >= frames):
            leave()

    def falls_silent(self):
        """Waits until what was on the way has arrived; gives whether it ever ends."""
        quiet = max(QUIET, 5 * self.args.read_ms / 1000)
        since, deadline = time.monotonic(), time.monotonic() + TIMEOUT
        with self.changed:
            while time.monotonic() < deadline and self.status is None:
                left = max(since, self.arrived) + quiet - time.monotonic()
                if left <= 0:
                    return True
                self.changed.wait(left)
        return self.status is not None

    def ends(self):
        """Hears the rest, and looks at the whole."""
        self.wait("the stream ends", lambda: self.status is not None)
        tell("the stream ends well", self.status == "OK", status=self.status, detail=self.detail)
        tell("every frame has 1,920 bytes, its rate, length, session, and number without holes", not self.problems,
             frames=self.frames, problems=self.problems[:5])
        tell("one final frame, empty, at the end", self.final == self.frames + 1, final=self.final)
        return bytes(self.audio)


class Session:
    def __init__(self, pb, stub, args):
        self.pb, self.stub, self.args = pb, stub, args
        self.name = args.session or f"python-{os.getpid()}"
        self.options = dict(args.option)
        self.is_paced = self.options.get("pacing", "realtime") == "realtime"
        lookahead = int(self.options.get("lookahead_ms", LOOKAHEAD_MS))
        # That it may be ahead, and the one that is due.
        self.in_flight = lookahead // LENGTH_MS + 1 + args.slack
        self.last_time = 0

    def begin(self):
        request = self.pb.StartSessionRequest(session_id=self.name, model_id=self.args.model, options=self.options)
        reply = self.stub.StartSession(request, timeout=TIMEOUT)
        if not tell("StartSession: success", reply.success, message=reply.message):
            leave()

    def end(self):
        for times in ["once", "once more"]:
            reply = self.stub.EndSession(self.pb.EndSessionRequest(session_id=self.name), timeout=TIMEOUT)
            tell(f"EndSession, {times}: success", reply.success)
        try:
            self.stub.Control(self.pb.ControlRequest(session_id=self.name, command=self.pb.RESUME), timeout=TIMEOUT)
            tell("Control after the end: NOT_FOUND", False)
        except grpc.RpcError as error:
            tell("Control after the end: NOT_FOUND", error.code() == grpc.StatusCode.NOT_FOUND,
                 code=error.code().name, message=error.details())

    def says(self, text):
        return Utterance(self.pb, self.stub, self.name, text, self.args)

    def command(self, name, utterance):
        """Commands; gives how many frames had been heard when it was acknowledged."""
        request = self.pb.ControlRequest(session_id=self.name, command=self.pb.ControlCommand.Value(name))
        asked = time.monotonic()
        reply = self.stub.Control(request, timeout=TIMEOUT)
        heard, took = utterance.frames, time.monotonic() - asked
        is_told = reply.success and reply.timestamp_ms >= self.last_time and reply.timestamp_ms > 0
        self.last_time = reply.timestamp_ms
        tell(f"{name}: acknowledged, with its time", is_told, heard=heard, ms=round(took * 1000, 1),
             message=reply.message)
        return heard

    def is_quiet_after(self, name, utterance, heard):
        """Lets arrive what was on the way, and sees how much it was."""
        ends = utterance.falls_silent()
        arrived = utterance.frames - heard
        is_little = arrived <= self.in_flight if self.is_paced else True
        limit = self.in_flight if self.is_paced else "what the transport holds"
        tell(f"{name}: no frame arrives but those that were on the way", ends and is_little, arrived=arrived, limit=limit)

    def pauses(self, utterance):
        """PAUSE, PAUSE, a while, RESUME, RESUME."""
        heard = self.command("PAUSE", utterance)
        self.is_quiet_after("PAUSE", utterance, heard)
        self.command("PAUSE", utterance)
        before = utterance.frames
        # The silence itself is what is looked at.
        time.sleep(self.args.hold)
        # The final frame, which is empty, may come.
        tell("PAUSE: the silence lasts", utterance.frames == before, arrived=utterance.frames - before,
             seconds=self.args.hold)
        for _ in range(2):
            self.command("RESUME", utterance)

    def is_stopped(self, utterance):
        """STOP: the final frame comes, though nobody has waited for it before the next text."""
        heard = self.command("STOP", utterance)
        again = self.says(self.args.again or self.args.text)
        self.is_quiet_after("STOP", utterance, heard)
        utterance.wait("STOP: the stream ends", lambda: utterance.status is not None)
        return again


def write_wav(path, audio):
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(audio)


def talk(pb, stub, args):
    session = Session(pb, stub, args)
    session.begin()
    utterance = session.says(args.text)
    if args.phase == "pause":
        for frames in args.at:
            utterance.hears(frames)
            session.pauses(utterance)
    if args.phase == "stop":
        utterance.hears(args.at[0])
        again = session.is_stopped(utterance)
        stopped = utterance.ends()
        if args.stopped:
            write_wav(args.stopped, stopped)
        utterance = again
    audio = utterance.ends()
    if args.wav:
        write_wav(args.wav, audio)
    session.end()
    event("done", frames=utterance.frames, seconds=utterance.frames * LENGTH_MS / 1000)


def arguments():
    def option(text):
        name, equals, value = text.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
        return name, value

    def numbers(kind):
        def parse(text):
            values = [kind(part) for part in text.split(",")]
            if any(value < 0 for value in values):
                raise ValueError(text)
            return values

        parse.__name__ = f"list of {kind.__name__}"
        return parse

    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("phase", choices=["speak", "pause", "stop"])
    parser.add_argument("address")
    parser.add_argument("protos")
    parser.add_argument("--model", default="espeak")
    parser.add_argument("--session")
    parser.add_argument("--option", type=option, action="append", default=[])
    parser.add_argument("--text", default="Hello there. How are you? This is what a listener hears, word by word.")
    parser.add_argument("--pieces", choices=["words", "characters", "whole"], default="words")
    parser.add_argument("--pauses", type=numbers(float), default=[0.0])
    parser.add_argument("--at", type=numbers(int), default=[10])
    parser.add_argument("--hold", type=float, default=0.5)
    parser.add_argument("--again")
    parser.add_argument("--read-ms", type=float, default=0.0)
    parser.add_argument("--tell", type=numbers(int), default=[])
    parser.add_argument("--slack", type=int, default=0)
    parser.add_argument("--wav")
    parser.add_argument("--stopped")
    return parser.parse_args()


def main():
    args = arguments()
    protos = os.path.abspath(args.protos)
    if not os.path.isfile(os.path.join(protos, PROTO)):
        client.stop(2, f"{protos} has no {PROTO}")
    signal.signal(signal.SIGALRM, lambda *_: give_up("all is done in time", seconds=TOTAL))
    signal.alarm(TOTAL)
    client.FROM_FOLDER[:] = [PROTO]
    with tempfile.TemporaryDirectory(prefix="speechctl-client-") as folder:
        client.generate(protos, folder)
        pb, rpc = client.modules("tts.tts_service")
    with grpc.insecure_channel(args.address, options=OPTIONS) as channel:
        try:
            talk(pb, rpc.TTSServiceStub(channel), args)
        except grpc.RpcError as error:
            give_up("every call is answered", code=error.code().name, message=error.details())
    leave()


if __name__ == "__main__":
    main()
