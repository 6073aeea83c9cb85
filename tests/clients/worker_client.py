#!/usr/bin/python3
"""A client of the macaw worker contracts that knows nothing of speechctl: Python, grpcio.

usage: worker_client.py stt ADDRESS PROTO_FOLDER WAV TEXT [SLOW]
       worker_client.py tts ADDRESS PROTO_FOLDER

WAV is a recording (16 bits, 16 kHz, mono) of which the worker is to make TEXT. SLOW is a prompt that makes it slow.

Prints `ok: ...` for each check. Exit: 0 all passed, 1 a check failed, 2 wrong usage, or no code could be made from the
protos, 77 a package is missing.
"""
import array
import concurrent.futures
import contextlib
import os
import sys
import time
import wave

import original

import grpc

TIMEOUT = 30  # seconds for a call
LIMITS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def stop(code, message):
    print(f"worker_client.py: {message}", file=sys.stderr, flush=True)
    os._exit(code)  # no waiting for the threads of grpcio


@contextlib.contextmanager
def check(what):
    try:
        yield
    except grpc.RpcError as error:
        stop(1, f"FAILED: {what}: {error.code().name}: {error.details()}")
    except Exception as error:
        stop(1, f"FAILED: {what}: {type(error).__name__}: {error}")
    print(f"ok: {what}", flush=True)


def need(condition, message):
    if not condition:
        raise AssertionError(message)


def refused(code, call):
    """Makes a call that must fail with `code`, and a reason."""
    try:
        reply = call()
        reply = reply if hasattr(reply, "DESCRIPTOR") else list(reply)
    except grpc.RpcError as error:
        need(error.code() == code, f"wanted {code.name}, got {error.code().name}: {error.details()}")
        need(error.details(), f"{code.name} without a reason")
        return
    raise AssertionError(f"wanted {code.name}, but the call succeeded: {str(reply)[:200]!r}")


def healthy(pb, stub):
    """Waits until the worker is ready, as its contract says."""
    with check("Health: loading, then ok; names its model and its engine"):
        deadline = time.monotonic() + TIMEOUT
        while True:
            health = stub.Health(pb.HealthRequest(), timeout=TIMEOUT)
            need(health.status in ["ok", "loading"], f"status {health.status!r}")
            need(time.monotonic() < deadline, "it is loading for ever")
            if health.status == "ok":
                break
        need(health.model_name, "no model")
        need(health.engine, "no engine")


def recogniser(channel, pb, rpc, path, text, slow=""):
    stub = rpc.STTWorkerStub(channel)
    healthy(pb, stub)
    with open(path, "rb") as file:
        whole = file.read()
    with wave.open(path) as file:
        bare = file.readframes(file.getnframes())
        seconds = file.getnframes() / file.getframerate()

    def transcribe(audio, request_id="a", **more):
        request = pb.TranscribeFileRequest(request_id=request_id, audio_data=audio, **more)
        return stub.TranscribeFile(request, timeout=TIMEOUT)

    for kind, audio in [("bare samples", bare), ("a WAV file", whole)]:
        with check(f"TranscribeFile of {kind}: {text!r}"):
            reply = transcribe(audio, language="en", response_format="verbose_json", task="transcribe")
            need(reply.text == text, f"heard {reply.text!r}")
            need(reply.language == "en", f"language {reply.language!r}")
            need(abs(reply.duration - seconds) < 0.01, f"{reply.duration} s instead of {seconds} s")
            need(reply.segments, "no segments")
            for segment in reply.segments:
                need(0 <= segment.start <= segment.end <= seconds + 0.1, f"{segment.start} to {segment.end}")
    with check("TranscribeFile of silence: nothing"):
        need(transcribe(bytes(len(bare))).text == "", "it hears words")
    with check("Cancel of what does not run: not acknowledged"):
        need(not stub.Cancel(pb.CancelRequest(request_id="nobody"), timeout=TIMEOUT).acknowledged, "acknowledged")
    with check("Cancel of a long call: acknowledged, and it ends at once, CANCELLED"), \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Long enough that nobody is done with it before it is cancelled.
        long = pool.submit(transcribe, bare * 100, "long", initial_prompt=slow)
        while not stub.Cancel(pb.CancelRequest(request_id="long"), timeout=TIMEOUT).acknowledged:
            need(not long.done(), f"it ended before it could be cancelled: {long}")
        asked = time.monotonic()
        refused(grpc.StatusCode.CANCELLED, long.result)
        need(time.monotonic() - asked < 5, "it took its time")
    with check("after that, the next call is answered"):
        need(transcribe(bare).text == text, "not as before")
    frames = [pb.AudioFrame(session_id="s", data=bare[at:at + 3200]) for at in range(0, len(bare), 3200)]
    with check("TranscribeStream: partials and then finals, in order, with the words"):
        frames[-1].is_last = True
        events = list(stub.TranscribeStream(iter(frames), timeout=TIMEOUT))
        finals = [event for event in events if event.event_type == "final"]
        need(" ".join(event.text for event in finals) == text, f"{[event.text for event in finals]}")
        need({event.event_type for event in events} <= {"partial", "final"}, "another type")
        need(all(event.session_id == "s" for event in events), "another session")
        numbers = [event.segment_id for event in finals]
        need(numbers == sorted(set(numbers)), f"segments {numbers}")
        need(all(event.start_ms < event.end_ms for event in events), "a span that is none")
        need(all(event.words and event.confidence > 0 for event in finals), "a final without words")
    with check("TranscribeStream: closing the stream ends it as well as is_last"):
        frames[-1].is_last = False
        again = [event.text for event in stub.TranscribeStream(iter(frames), timeout=TIMEOUT)
                 if event.event_type == "final"]
        need(again == [event.text for event in finals], f"{again}")
    with check("TranscribeStream: silence is nothing"):
        silence = iter([pb.AudioFrame(session_id="q", data=bytes(2 * 16000 * 3), is_last=True)])
        need(not list(stub.TranscribeStream(silence, timeout=TIMEOUT)), "something")
    with check("TranscribeStream: what is wrong is INVALID_ARGUMENT with the reason"):
        wrong = [
            [pb.AudioFrame(session_id="s", data=b"odd")],
            [pb.AudioFrame(session_id="s", hot_words=["x"])],
            [pb.AudioFrame(session_id="s", language="mixed")],
            [pb.AudioFrame(session_id="s", data=bytes(2)), pb.AudioFrame(session_id="other", data=bytes(2))],
        ]
        for frames in wrong:
            refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.TranscribeStream(iter(frames), timeout=TIMEOUT))


def synthesiser(channel, pb, rpc):
    stub = rpc.TTSWorkerStub(channel)
    healthy(pb, stub)
    with check("ListVoices: some, each with an id, none twice"):
        voices = [voice.voice_id for voice in stub.ListVoices(pb.ListVoicesRequest(), timeout=TIMEOUT).voices]
        need(voices and all(voices), f"{voices}")
        need(len(set(voices)) == len(voices), f"{voices}")

    def speak(**wishes):
        request = pb.SynthesizeRequest(request_id="b", text="one two three", **wishes)
        return list(stub.Synthesize(request, timeout=TIMEOUT))

    def audio(chunks):
        return array.array("h", b"".join(chunk.audio_data for chunk in chunks))

    for rate in [8_000, 22_050, 48_000]:
        with check(f"Synthesize at {rate} Hz: the last chunk says so, lengths fit the audio"):
            chunks = speak(voice=voices[0], sample_rate=rate)
            need([chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True], "the last is not the last")
            samples = 0
            for chunk in chunks:
                samples += len(chunk.audio_data) // 2
                need(abs(chunk.duration - samples / rate) < 0.001, f"{samples} samples are not {chunk.duration} s")
            need(0.3 < samples / rate < 5, f"{samples} samples")
            need(max(audio(chunks)) > 1000, "silence")
    with check("Synthesize with the last voice, twice as fast: about half as long"):
        calm, fast = (len(audio(speak(voice=voices[-1], speed=speed))) for speed in [1.0, 2.0])
        need(0.3 < fast / calm < 0.8, f"{fast} instead of {calm} samples")
    for wrong in [{"voice": "nobody"}, {"speed": 9.0}]:
        with check(f"Synthesize with {wrong}: refused"):
            codes = {"voice": [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT]}
            try:
                speak(**wrong)
                raise AssertionError("it speaks")
            except grpc.RpcError as error:
                allowed = codes.get(next(iter(wrong)), [grpc.StatusCode.INVALID_ARGUMENT])
                need(error.code() in allowed, f"{error.code().name}: {error.details()}")


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ["stt", "tts"]:
        stop(2, __doc__)
    kind, address, protos, *rest = sys.argv[1:]
    stt, tts = original.contracts(protos)
    with grpc.insecure_channel(address, options=LIMITS) as channel:
        if kind == "stt":
            recogniser(channel, *stt, *rest)
        else:
            synthesiser(channel, *tts)
    os._exit(0)


main()
