#!/usr/bin/python3
"""A worker of the macaw contracts that knows nothing of speechctl: Python, grpcio. It recognises, and it speaks.

usage: worker.py PROTO_FOLDER [--port N] [--name MODEL] [--fault F] [--marker FILE]

Prints `listening on PORT`, then `call transcribe`, `call synthesize` when one begins, `cancelled` when a slow one
ends so. Its transcript of a second of audio is `<first sample>:<CRC-32 of the samples>`, a character that it speaks is
a twentieth of a second of a ramp.

Faults, by `--fault NAME[:ARGUMENT]` for every call, or by `fault=NAME[:ARGUMENT]` in a prompt or a text, for that call:
  die             kills itself, unless FILE is there, which it makes before
  slow:SECONDS    takes so long, unless it is cancelled
  unavailable internal unknown exception      fails that way
  utf8            answers what is not UTF-8
  nan             times that are no numbers; lengths, where it speaks
  rate            a length that does not fit the audio: half as many samples as there should be
  empty           no audio
  long            segments long after the end of the audio; ten minutes of speech
  silence         hears "you" in digital silence
Of the whole worker, by `--fault` only:
  error-health    its Health says "error"
  loading-for:S   its Health says "loading" for so long

Exit: 2 no code could be made from the protos, 77 a package is missing.
"""
import argparse
import array
import concurrent.futures
import os
import re
import signal
import sys
import threading
import time
import zlib

import original

import grpc

OWN_RATE = 24_000  # of its voices, where the request names none
HEARD_RATE = 16_000
FAULT = re.compile(r"fault=([a-z0-9-]+)(?::([0-9.]+))?")


def wav_samples(data):
    """The samples of a request: of a WAV file with the header that everyone writes, or bare ones."""
    if data[:4] == b"RIFF":
        data = data[data.index(b"data") + 8 :]
    return array.array("h", data)


class Worker:
    def __init__(self, options, stt, tts):
        self.options, self.stt, self.tts = options, stt, tts
        self.started = time.monotonic()
        self.running = {}  # request id: what Cancel sets

    # --- faults

    def fault(self, kind, text, context, cancelled):
        """What is wrong with this call; what can happen before the answer happens here."""
        # In one piece: calls come at once, and a line must not end in the middle of another.
        print(f"call {kind}\n", end="", flush=True)
        asked = FAULT.search(text)
        name, argument = asked.groups() if asked else self.options.fault
        if name == "die" and not os.path.exists(self.options.marker):
            open(self.options.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "slow" and cancelled.wait(float(argument)):
            print("cancelled\n", end="", flush=True)
            context.abort(grpc.StatusCode.CANCELLED, "cancelled as asked")
        if name in ["unavailable", "internal", "unknown"]:
            context.abort(grpc.StatusCode[name.upper()], f"the snake is {name}")
        if name == "exception":
            raise RuntimeError("the snake bit itself")
        return name

    # --- macaw.stt

    def TranscribeFile(self, request, context):
        cancelled = self.running[request.request_id] = threading.Event()
        context.add_callback(cancelled.set)
        try:
            return self.transcribe(request, context, cancelled)
        finally:
            self.running.pop(request.request_id, None)

    def transcribe(self, request, context, cancelled):
        samples = wav_samples(request.audio_data)
        fault = self.fault("transcribe", request.initial_prompt, context, cancelled)
        if fault == "utf8":
            return b"\x0a\x03\xff\xfe\xfd"  # field 1, 3 bytes
        segments = []
        for at in range(0, len(samples), HEARD_RATE):
            second = samples[at : at + HEARD_RATE]
            text = "%d:%08x" % (second[0], zlib.crc32(second.tobytes()))
            if not any(samples):  # nobody speaks
                text = "you" if fault == "silence" else ""
            if text:
                start, end = at / HEARD_RATE, (at + len(second)) / HEARD_RATE
                segments.append({"id": len(segments), "start": start, "end": end, "text": text})
        if fault == "nan":
            segments[0]["start"] = float("nan")
        if fault == "long":
            segments[-1]["end"] = 3600.0
        return self.stt.TranscribeFileResponse(
            text=" ".join(segment["text"] for segment in segments),
            language=request.language if request.language not in ["", "auto"] else "en",
            duration=len(samples) / HEARD_RATE,
            segments=[self.stt.Segment(**segment) for segment in segments],
        )

    def TranscribeStream(self, requests, context):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "this worker does not stream")

    def Cancel(self, request, context):
        running = self.running.get(request.request_id)
        if running:
            running.set()
        return self.stt.CancelResponse(acknowledged=running is not None)

    # --- macaw.tts

    def Synthesize(self, request, context):
        cancelled = threading.Event()
        context.add_callback(cancelled.set)
        if request.voice not in ["", "py-one", "py-two"]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no voice {request.voice}")
        if request.speed and not 0.25 <= request.speed <= 4.0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"speed {request.speed}")
        rate = request.sample_rate or OWN_RATE
        length = int(rate / 20 / (request.speed or 1.0))
        fault = None
        said = 0
        for number, character in enumerate(request.text):
            step = ord(character) + (1000 if request.voice == "py-two" else 0)
            audio = array.array("h", ((n * step) % 20_000 - 10_000 for n in range(length))).tobytes()
            said += length
            # In the middle of the answer, not before it, so that there is something to lose.
            if number == 0:
                yield self.chunk(audio, said / rate)
                fault = self.fault("synthesize", request.text, context, cancelled)
                if fault == "utf8":
                    yield b"\x22\x03\xff\xfe\xfd"  # field 4, the codec, 3 bytes
                if fault == "long":
                    for second in range(600):
                        said += rate
                        yield self.chunk(b"\x01\x00" * rate, said / rate)
                continue
            if fault == "rate":
                audio = audio[: len(audio) // 4 * 2]
            yield self.chunk(audio, float("nan") if fault == "nan" else said / rate)
        yield self.tts.SynthesizeChunk(is_last=True, duration=said / rate)

    def chunk(self, audio, duration):
        empty = self.options.fault[0] == "empty"
        return self.tts.SynthesizeChunk(audio_data=b"" if empty else audio, duration=0.0 if empty else duration)

    def ListVoices(self, request, context):
        voice = self.tts.VoiceInfoProto
        one = voice(voice_id="py-one", name="One", language="en", gender="female")
        return self.tts.ListVoicesResponse(voices=[one, voice(voice_id="py-two", name="Two", language="de")])

    # --- both

    def health(self, pb):
        name, argument = self.options.fault
        status = "ok"
        if name == "error-health":
            status = "error"
        elif name == "loading-for" and time.monotonic() < self.started + float(argument):
            status = "loading"
        return pb.HealthResponse(status=status, model_name=self.options.name, engine="python", metadata={"a": "b"})


def serialized(reply):
    """A reply may be bytes already: those of a lie that the library would not write."""
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


def handler(pb, service, methods):
    """The handlers of a service, made by hand, for the generated ones write nothing but messages."""
    made = {}
    for name, function in methods.items():
        method = pb.DESCRIPTOR.services_by_name[service.split(".")[-1]].methods_by_name[name]
        streams = {"TranscribeStream": grpc.stream_stream_rpc_method_handler,
                   "Synthesize": grpc.unary_stream_rpc_method_handler}
        make = streams.get(name, grpc.unary_unary_rpc_method_handler)
        made[name] = make(function, getattr(pb, method.input_type.name).FromString, serialized)
    return grpc.method_handlers_generic_handler(service, made)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("protos")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--name", default="py-model")
    parser.add_argument("--fault", default="")
    parser.add_argument("--marker", default="died")
    options = parser.parse_args()
    options.fault = (options.fault.split(":") + [None])[:2]
    (stt, _), (tts, _) = original.contracts(options.protos)
    worker = Worker(options, stt, tts)
    # 64 MiB, as the contract's other workers; without SO_REUSEPORT, which would let two have one port.
    limits = [("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=limits)
    server.add_generic_rpc_handlers([
        handler(stt, "macaw.stt.STTWorker", {
            "TranscribeFile": worker.TranscribeFile, "TranscribeStream": worker.TranscribeStream,
            "Cancel": worker.Cancel, "Health": lambda request, context: worker.health(stt)}),
        handler(tts, "macaw.tts.TTSWorker", {
            "Synthesize": worker.Synthesize, "ListVoices": worker.ListVoices,
            "Health": lambda request, context: worker.health(tts)}),
    ])
    port = server.add_insecure_port(f"127.0.0.1:{options.port}")
    if port == 0:
        sys.exit(f"port {options.port} is taken")
    server.start()
    print(f"listening on {port}", flush=True)
    server.wait_for_termination()


main()
