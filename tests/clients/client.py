#!/usr/bin/python3
"""A foreign client of a running `speechctl serve`: Python, grpcio.

usage: client.py ADDRESS PROTO_FOLDER

ADDRESS is HOST:PORT or unix:PATH of a server that was started with `--model selftest`. PROTO_FOLDER holds
example/speech_recognition.proto and speechctl/v1/speech.proto. Code is generated at run time into a temporary folder.

Prints `ok: ...` for each check. Exit: 0 all passed, 1 a check failed, 2 wrong usage, or no code could be made from the
protos, 77 a package is missing.
"""
import array
import contextlib
import importlib
import io
import math
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import wave

APT = "apt-get install --no-install-recommends python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc"
PIP = "pip install grpcio grpcio-tools"

try:
    import grpc
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2  # noqa: F401
except ImportError as error:
    print(f"client.py: {error}; needs `{APT}` (and /usr/bin/python3), or `{PIP}`", file=sys.stderr)
    sys.exit(77)

TEXT = "turn on the kitchen light"
EXAMPLE = "example.SpeechRecognition"
OURS = "speechctl.v1.SpeechRecognition"
HEALTH = "grpc.health.v1.Health"
TIMEOUT = 30  # seconds for a call
TOTAL = 240  # seconds for everything

# Definitions that Debian has no Python packages for. The file names are this script's own, so that the modules do not
# collide with the packages `grpc` and `google`; on the wire only the package and message names count.
HEALTH_PROTO = """
syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health {
  rpc Check(HealthCheckRequest) returns (HealthCheckResponse);
  rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse);
}
"""

REFLECTION_PROTO = """
syntax = "proto3";
package grpc.reflection.VERSION;
service ServerReflection {
  rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse);
}
message ServerReflectionRequest {
  string host = 1;
  oneof message_request {
    string file_by_filename = 3;
    string file_containing_symbol = 4;
    ExtensionRequest file_containing_extension = 5;
    string all_extension_numbers_of_type = 6;
    string list_services = 7;
  }
}
message ExtensionRequest { string containing_type = 1; int32 extension_number = 2; }
message ServerReflectionResponse {
  string valid_host = 1;
  ServerReflectionRequest original_request = 2;
  oneof message_response {
    FileDescriptorResponse file_descriptor_response = 4;
    ExtensionNumberResponse all_extension_numbers_response = 5;
    ListServiceResponse list_services_response = 6;
    ErrorResponse error_response = 7;
  }
}
message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
message ExtensionNumberResponse { string base_type_name = 1; repeated int32 extension_number = 2; }
message ListServiceResponse { repeated ServiceResponse service = 1; }
message ServiceResponse { string name = 1; }
message ErrorResponse { int32 error_code = 1; string error_message = 2; }
"""

RPC_PROTO = """
syntax = "proto3";
package google.rpc;
import "google/protobuf/any.proto";
message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
message BadRequest {
  message FieldViolation { string field = 1; string description = 2; }
  repeated FieldViolation field_violations = 1;
}
"""

INLINE = {
    "foreign_health.proto": HEALTH_PROTO,
    "foreign_reflection_v1.proto": REFLECTION_PROTO.replace("VERSION", "v1"),
    "foreign_reflection_v1alpha.proto": REFLECTION_PROTO.replace("VERSION", "v1alpha"),
    "foreign_rpc.proto": RPC_PROTO,
}

# Debian's protobuf-compiler has these only with libprotobuf-dev. Only the compiler reads them; the code uses the
# modules of google.protobuf.
WELL_KNOWN = {
    "any": "message Any { string type_url = 1; bytes value = 2; }",
    "duration": "message Duration { int64 seconds = 1; int32 nanos = 2; }",
}

FROM_FOLDER = ["example/speech_recognition.proto", "speechctl/v1/speech.proto"]


def stop(code, message):
    sys.stdout.flush()
    print(f"client.py: {message}", file=sys.stderr, flush=True)
    os._exit(code)  # no waiting for the threads of grpcio


class Failed(Exception):
    pass


def need(condition, message):
    if not condition:
        raise Failed(message)


def describe(error):
    """The text of a failed call, without grpcio's dump of it."""
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name}: {error.details()}"
    if isinstance(error, Failed):
        return str(error)
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def check(what):
    try:
        yield
    except Exception as error:
        stop(1, f"FAILED: {what}: {describe(error)}")
    print(f"ok: {what}", flush=True)


def refused(code, call, *arguments, **named):
    """Makes a call that must fail with `code`, and gives the error."""
    try:
        reply = call(*arguments, timeout=named.pop("timeout", TIMEOUT), **named)
        if not hasattr(reply, "DESCRIPTOR"):  # a stream
            reply = list(reply)
    except grpc.RpcError as error:
        need(error.code() == code, f"wanted {code.name}, got {describe(error)}")
        need(error.details(), f"{code.name} without a message")
        return error
    raise Failed(f"wanted {code.name}, but the call succeeded: {str(reply)[:200]!r}")


# --- generated code


def generate(protos, folder):
    """Makes the modules; gives how."""
    for name, text in INLINE.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    fallback = os.path.join(folder, "well-known")  # a place of its own: the last one that the compiler looks in
    os.makedirs(os.path.join(fallback, "google/protobuf"))
    for name, text in WELL_KNOWN.items():
        with open(os.path.join(fallback, f"google/protobuf/{name}.proto"), "w", encoding="utf-8") as file:
            file.write(f'syntax = "proto3";\npackage google.protobuf;\n{text}\n')

    out = os.path.join(folder, "out")
    arguments = [f"-I{protos}", f"-I{folder}", f"-I{fallback}", f"--python_out={out}", f"--grpc_python_out={out}"]
    arguments += FROM_FOLDER + list(INLINE)

    ways = [("grpc_tools.protoc", [sys.executable, "-m", "grpc_tools.protoc"])]
    compiler, plugin = shutil.which("protoc"), shutil.which("grpc_python_plugin")
    if compiler and plugin:
        ways.append(("protoc + grpc_python_plugin", [compiler, f"--plugin=protoc-gen-grpc_python={plugin}"]))
    problems = []
    for name, command in ways:
        # Debian 12's python3-grpc-tools is of 2018 and refuses `optional`; then it is the other one's turn.
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        done = subprocess.run(command + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            sys.path.insert(0, out)
            return name
        problems.append(f"{name}: {done.stdout.strip()}")
    missing = len(ways) == 1 and "No module named" in problems[0]
    stop(77 if missing else 2, "no code from the protos; needs `%s`, or `%s`\n%s" % (APT, PIP, "\n".join(problems)))


def modules(name):
    return importlib.import_module(f"{name}_pb2"), importlib.import_module(f"{name}_pb2_grpc")


# --- the checks


def wav(data):
    """Opens a WAV file; gives rate, frames, samples."""
    need(data[:4] == b"RIFF" and data[8:12] == b"WAVE", f"not a WAV file: starts with {data[:12]!r}")
    size = int.from_bytes(data[4:8], "little")
    need(size == len(data) - 8, f"RIFF header says {size} bytes, the file has {len(data) - 8}")
    with wave.open(io.BytesIO(data)) as file:
        need(file.getnchannels() == 1, f"{file.getnchannels()} channels")
        need(file.getsampwidth() == 2, f"{8 * file.getsampwidth()} bits")
        need(file.getcomptype() == "NONE", f"compression {file.getcomptype()}")
        rate, frames = file.getframerate(), file.getnframes()
        samples = file.readframes(frames)
    need(len(samples) == 2 * frames, f"the header says {frames} frames, the file has {len(samples) // 2}")
    need(frames > rate / 2, f"only {frames} frames at {rate} Hz")
    need(any(samples), "nothing but silence")
    return rate, frames, samples


def difference(one, other):
    """How unlike two recordings are: the mean difference of the loudness of 10 ms, whole and of the high tones."""

    def outline(audio):
        rate, _, data = wav(audio)
        samples = array.array("h", data)
        if sys.byteorder == "big":
            samples.byteswap()
        step = rate // 100
        for at in range(0, len(samples) - step + 1, step):
            part = samples[at : at + step]
            yield math.log(1 + sum(x * x for x in part) / step)
            yield math.log(1 + sum((y - x) ** 2 for x, y in zip(part, part[1:])) / step)

    apart = [abs(x - y) for x, y in zip(outline(one), outline(other))]
    return sum(apart) / len(apart)


def example_contract(channel):
    """(a); gives the audio of TEXT."""
    pb, rpc = modules("example.speech_recognition")
    stub = rpc.SpeechRecognitionStub(channel)
    invalid = grpc.StatusCode.INVALID_ARGUMENT

    def tts(text, region):
        return stub.tts(pb.TTSRequest(text=text, region=region), timeout=TIMEOUT).audio

    with check("example tts: a WAV file, mono, 16 bit, longer than 0.5 s, with its real size in the header"):
        audio = tts(TEXT, "")
        wav(audio)
    with check(f"example stt of that audio: {TEXT!r}"):
        heard = stub.stt(pb.STTRequest(audio=audio), timeout=TIMEOUT).transcription
        need(heard == TEXT, f"heard {heard!r}")
    with check("example tts: region en-GB speaks otherwise than region \"\""):
        again, british = tts(TEXT, ""), tts(TEXT, "en-GB")
        need(british != audio, "the same bytes")
        # Other bytes mean nothing: espeak never speaks the same samples twice. 0.05 and 0.75 are usual here.
        same, other = difference(audio, again), difference(audio, british)
        need(other > 4 * same, f"as unlike ({other:.3f}) as two takes of the same voice ({same:.3f})")
    for region in ["en-AU", "xx"]:
        with check(f"example tts: region {region} is INVALID_ARGUMENT with alternatives"):
            message = refused(invalid, stub.tts, pb.TTSRequest(text=TEXT, region=region)).details()
            need(region in message, f"{region} is not named: {message!r}")
            need("en-GB" in message or "en-gb" in message, f"no alternatives, such as en-GB, in: {message!r}")
    with check("example tts: empty text is INVALID_ARGUMENT"):
        refused(invalid, stub.tts, pb.TTSRequest(text="", region=""))
    with check("example stt: no audio is INVALID_ARGUMENT"):
        refused(invalid, stub.stt, pb.STTRequest(audio=b""))
    with check("example stt: garbage is INVALID_ARGUMENT"):
        refused(invalid, stub.stt, pb.STTRequest(audio=b"this is no audio file. " * 500))
    return audio


def health(channel):
    """(b)"""
    pb, rpc = modules("foreign_health")
    stub = rpc.HealthStub(channel)
    serving = pb.HealthCheckResponse.SERVING
    names = ["", EXAMPLE, OURS, "stt", "tts"]
    for name in names:
        with check(f"health Check of \"{name}\": SERVING"):
            status = stub.Check(pb.HealthCheckRequest(service=name), timeout=TIMEOUT).status
            need(status == serving, f"status {status}")
    with check("health Check of an unknown name: NOT_FOUND"):
        refused(grpc.StatusCode.NOT_FOUND, stub.Check, pb.HealthCheckRequest(service="no.such.Service"))
    for name in names:
        with check(f"health Watch of \"{name}\": a first message, SERVING"):
            call = stub.Watch(pb.HealthCheckRequest(service=name), timeout=TIMEOUT)
            status = next(call).status
            call.cancel()
            need(status == serving, f"status {status}")


class Reflection:
    """One stream of questions and answers."""

    def __init__(self, channel, version):
        self.pb, rpc = modules(f"foreign_reflection_{version}")
        self.questions = queue.Queue()
        self.answers = rpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter(self.questions.get, None), timeout=2 * TIMEOUT
        )

    def ask(self, **question):
        self.questions.put(self.pb.ServerReflectionRequest(**question))
        return next(self.answers)

    def files(self, **question):
        answer = self.ask(**question)
        kind = answer.WhichOneof("message_response")
        if kind == "error_response":
            raise Failed(f"{question}: error {answer.error_response.error_code}: {answer.error_response.error_message}")
        need(kind == "file_descriptor_response", f"{question}: answered with {kind}")
        raw = answer.file_descriptor_response.file_descriptor_proto
        need(raw, f"{question}: no files")
        return [descriptor_pb2.FileDescriptorProto.FromString(data) for data in raw]

    def end(self):
        self.questions.put(None)
        need(not list(self.answers), "answers after the last question")


def pool_of(reflection, files):
    """Builds a pool of `files`, with all that they import, asked for by name."""
    pool = descriptor_pool.DescriptorPool()
    known = {file.name: file for file in files}
    added = set()

    def add(name, importing):
        if name in added:
            return
        need(name not in importing, f"{name} imports itself")
        if name not in known:
            for file in reflection.files(file_by_filename=name):
                known.setdefault(file.name, file)
            need(name in known, f"file_by_filename {name}: it is not in the answer")
        for dependency in known[name].dependency:
            add(dependency, importing + [name])
        pool.AddSerializedFile(known[name].SerializeToString())
        added.add(name)

    for name in list(known):
        add(name, [])
    return pool


def shape(file):
    """A file descriptor without what does not count on the wire."""
    copy = descriptor_pb2.FileDescriptorProto()
    copy.CopyFrom(file)
    for field in ["name", "dependency", "source_code_info"]:
        copy.ClearField(field)

    def strip(messages):
        for message in messages:
            for field in message.field:
                field.ClearField("json_name")
            strip(message.nested_type)

    strip(copy.message_type)
    return copy


def reflection(channel, version):
    """(c)"""
    with check(f"reflection {version}: lists the services"):
        talk = Reflection(channel, version)
        answer = talk.ask(list_services="")
        services = [service.name for service in answer.list_services_response.service]
        for name in [EXAMPLE, OURS, HEALTH]:
            need(name in services, f"{name} is not in {services}")
        need(len(set(services)) == len(services), f"one twice: {services}")
    for name in services:
        with check(f"reflection {version}: {name} resolves with all its files and messages"):
            pool = pool_of(talk, talk.files(file_containing_symbol=name))
            service = pool.FindServiceByName(name)
            need(service.methods, "no methods")
            for method in service.methods:
                for message in [method.input_type, method.output_type]:
                    pool.FindMessageTypeByName(message.full_name)
                    # As grpcurl asks.
                    files = talk.files(file_containing_symbol=message.full_name)
                    again = pool_of(talk, files).FindMessageTypeByName(message.full_name)
                    need(again.file.name == message.file.name, f"{message.full_name} is in two files")
                talk.files(file_containing_symbol=method.full_name)
    for name, module in [(EXAMPLE, "example.speech_recognition"), (OURS, "speechctl.v1.speech")]:
        with check(f"reflection {version}: {name} is the one of the folder"):
            mine = descriptor_pb2.FileDescriptorProto()
            modules(module)[0].DESCRIPTOR.CopyToProto(mine)
            pool = pool_of(talk, talk.files(file_containing_symbol=name))
            theirs = descriptor_pb2.FileDescriptorProto()
            pool.FindServiceByName(name).file.CopyToProto(theirs)
            need(shape(mine) == shape(theirs), "they differ")
    with check(f"reflection {version}: an unknown symbol is NOT_FOUND"):
        # The protocol has an error_response for it, after which the stream goes on; tonic-reflection ends the stream
        # with the status instead. Clients cope with both.
        try:
            answer = talk.ask(file_containing_symbol="no.such.Symbol")
        except grpc.RpcError as error:
            need(error.code() == grpc.StatusCode.NOT_FOUND, describe(error))
        else:
            need(answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0], f"answered {answer}")
            need(talk.ask(list_services="").list_services_response.service, "no services after it")
            talk.end()


def error_details(error):
    """The google.rpc details of a failed call: Status, and the messages by their full names."""
    pb, _ = modules("foreign_rpc")
    raw = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    need(len(raw) == 1, f"{len(raw)} times grpc-status-details-bin")
    status = pb.Status.FromString(raw[0])
    need(status.code == error.code().value[0], f"the details say code {status.code}")
    need(status.message == error.details(), f"the details say {status.message!r}, the status {error.details()!r}")
    found = {}
    for packed in status.details:
        need(packed.type_url.startswith("type.googleapis.com/"), f"type_url {packed.type_url}")
        for kind in [pb.ErrorInfo, pb.BadRequest]:
            if packed.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    return found


def seconds(duration):
    return duration.seconds + duration.nanos / 1e9


def our_contract(channel, audio):
    """(d)"""
    pb, rpc = modules("speechctl.v1.speech")
    stub = rpc.SpeechRecognitionStub(channel)
    rate, frames, _ = wav(audio)

    with check("Synthesize: the format first, then audio, PCM16"):
        events = list(stub.Synthesize(pb.SynthesizeRequest(text=TEXT), timeout=TIMEOUT))
        kinds = [event.WhichOneof("event") for event in events]
        need(kinds[:1] == ["format"], f"events {kinds[:3]}")
        need(len(kinds) > 1 and set(kinds[1:]) == {"audio"}, f"events {kinds}")
        form = events[0].format
        need(form.encoding == pb.OUTPUT_ENCODING_PCM16, f"encoding {form.encoding}")
        need(form.channels == 1, f"{form.channels} channels")
        need(8000 <= form.sample_rate_hertz <= 192000, f"{form.sample_rate_hertz} Hz")
        need(form.voice, "no voice")
        need(all(event.audio for event in events[1:]), "an empty chunk of audio")
        spoken = b"".join(event.audio for event in events[1:])
        need(len(spoken) % 2 == 0 and len(spoken) > form.sample_rate_hertz, f"{len(spoken)} bytes")
    with check("Synthesize: sounds as the example tts does"):
        need(form.sample_rate_hertz == rate, f"{form.sample_rate_hertz} Hz instead of {rate} Hz")
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setparams((1, 2, rate, 0, "NONE", ""))
            writer.writeframes(spoken)
        apart = difference(audio, file.getvalue())
        need(apart < 0.2, f"unlike by {apart:.3f}")

    def whole(reply, length):
        need(reply.text == TEXT, f"heard {reply.text!r}")
        need(reply.language == "en", f"language {reply.language!r}")
        need(abs(seconds(reply.duration) - length) < 0.01, f"{seconds(reply.duration)} s instead of {length} s")
        need(reply.model, "no model")
        segments_in_order(reply.segments, reply.sample_rate_hertz, length)

    def segments_in_order(segments, clock, length):
        need(clock > 0, f"a clock of {clock} Hz")
        need(segments, "no segments")
        end = 0
        for segment in segments:
            need(end <= segment.start < segment.end, f"segment {segment.start}..{segment.end} after {end}")
            end = segment.end
            need(segment.text.strip(), "a segment without text")
        need(end / clock <= length + 0.05, f"a segment ends at {end / clock} s of {length} s")
        heard = " ".join(segment.text.strip() for segment in segments)
        need(heard == TEXT, f"segments {heard!r}")

    with check("Recognize: a WAV file"):
        whole(stub.Recognize(pb.RecognizeRequest(audio=audio), timeout=TIMEOUT), frames / rate)
    with check("Recognize: PCM16 with its rate"):
        config = pb.RecognitionConfig(encoding=pb.INPUT_ENCODING_PCM16, sample_rate_hertz=form.sample_rate_hertz)
        request = pb.RecognizeRequest(config=config, audio=spoken)
        whole(stub.Recognize(request, timeout=TIMEOUT), len(spoken) / 2 / form.sample_rate_hertz)

    with check("RecognizeFile: 1000-byte chunks; started, segment, progress, done"):

        def chunks():
            yield pb.RecognizeFileRequest(config=pb.RecognitionConfig())
            for at in range(0, len(audio), 1000):
                yield pb.RecognizeFileRequest(audio=audio[at : at + 1000])

        events = list(stub.RecognizeFile(chunks(), timeout=TIMEOUT))
        kinds = [event.WhichOneof("event") for event in events]
        need(kinds[:1] == ["started"] and kinds.count("started") == 1, f"events {kinds}")
        need(kinds[-1:] == ["done"] and kinds.count("done") == 1, f"events {kinds}")
        need("segment" in kinds and "progress" in kinds, f"events {kinds}")
        need(None not in kinds, f"an event of an unknown kind: {kinds}")
        started, done = events[0].started, events[-1].done
        need(started.model, "no model")
        segments = [event.segment for event in events if event.WhichOneof("event") == "segment"]
        segments_in_order(segments, started.sample_rate_hertz, frames / rate)
        decided = 0
        for event in events:
            if event.WhichOneof("event") == "progress":
                now = event.progress
                need(decided <= now.decided <= now.received, f"progress {now.decided} of {now.received} after {decided}")
                decided = now.decided
        length = frames / rate
        need(abs(decided / started.sample_rate_hertz - length) < 0.05, f"decided to the end: {decided} samples")
        need(abs(seconds(done.duration) - length) < 0.01, f"{seconds(done.duration)} s instead of {length} s")
        need(done.language == "en", f"language {done.language!r}")
        need(not done.warnings, f"warnings {list(done.warnings)}")

    with check("ListVoices: all pages of 7, total_count voices, none twice"):
        ids, token, total, default = [], "", None, 0
        while True:
            page = stub.ListVoices(pb.ListVoicesRequest(page_size=7, page_token=token), timeout=TIMEOUT)
            need(1 <= len(page.voices) <= 7, f"a page of {len(page.voices)}")
            total = page.total_count if total is None else total
            need(page.total_count == total, f"total_count {page.total_count} after {total}")
            ids += [voice.id for voice in page.voices]
            default += sum(voice.is_default for voice in page.voices)
            token = page.next_page_token
            if not token:
                break
            need(len(page.voices) == 7, f"a page of {len(page.voices)} that is not the last")
            need(len(ids) <= total, f"more than total_count {total}")
        need(len(ids) == total, f"{len(ids)} voices, total_count {total}")
        need(len(set(ids)) == total, "a voice twice")
        need(default == 1, f"{default} default voices")
        need(ids == sorted(ids), "not in the order of the voices")

    with check("ListVoices: a bad page_token is INVALID_ARGUMENT with BadRequest and ErrorInfo"):
        request = pb.ListVoicesRequest(page_size=7, page_token="no token of yours")
        found = error_details(refused(grpc.StatusCode.INVALID_ARGUMENT, stub.ListVoices, request))
        need("BadRequest" in found, f"details {sorted(found)}")
        fields = [violation.field for violation in found["BadRequest"].field_violations]
        need(fields == ["page_token"], f"BadRequest of {fields}")
        need(found["BadRequest"].field_violations[0].description, "BadRequest without a description")
        need("ErrorInfo" in found, f"details {sorted(found)}")
        need(found["ErrorInfo"].domain == "speechctl", f"domain {found['ErrorInfo'].domain!r}")
        need(found["ErrorInfo"].reason, "ErrorInfo without a reason")

    with check("Recognize: a deadline of 1 ms with model mock:slow is DEADLINE_EXCEEDED"):
        config = pb.RecognitionConfig(model="mock:slow", encoding=pb.INPUT_ENCODING_PCM16, sample_rate_hertz=16000)
        request = pb.RecognizeRequest(config=config, audio=bytes(5 * 16000 * 2))
        start = time.monotonic()
        refused(grpc.StatusCode.DEADLINE_EXCEEDED, stub.Recognize, request, timeout=0.001)
        need(time.monotonic() - start < 2, "but late")
    with check("Recognize: a deadline of 300 ms, while mock:slow works, is DEADLINE_EXCEEDED"):
        start = time.monotonic()
        refused(grpc.StatusCode.DEADLINE_EXCEEDED, stub.Recognize, request, timeout=0.3)
        need(time.monotonic() - start < 3, "but late")
    with check("Recognize: works after that"):
        whole(stub.Recognize(pb.RecognizeRequest(audio=audio), timeout=TIMEOUT), frames / rate)


def main():
    if len(sys.argv) != 3:
        stop(2, f"usage: {os.path.basename(sys.argv[0])} ADDRESS PROTO_FOLDER")
    address, protos = sys.argv[1], os.path.abspath(sys.argv[2])
    for name in FROM_FOLDER:
        if not os.path.isfile(os.path.join(protos, name)):
            stop(2, f"{protos} has no {name}")
    signal.signal(signal.SIGALRM, lambda *_: stop(1, f"FAILED: not done after {TOTAL} s"))
    signal.alarm(TOTAL)

    with tempfile.TemporaryDirectory(prefix="speechctl-client-") as folder:
        way = generate(protos, folder)
        print(f"client.py: grpcio {grpc.__version__}, code by {way}", file=sys.stderr)
        for name in [file[: -len(".proto")].replace("/", ".") for file in FROM_FOLDER + list(INLINE)]:
            try:
                modules(name)
            except Exception as error:
                stop(2, f"the code that {way} made does not go with these packages; needs `{APT}` (and "
                        f"/usr/bin/python3), or `{PIP}`: {describe(error)}")

    # A proxy of the environment is not for a server on this machine.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        with check(f"connects to {address}"):
            try:
                grpc.channel_ready_future(channel).result(timeout=10)
            except grpc.FutureTimeoutError:
                raise Failed("no connection in 10 s") from None
        audio = example_contract(channel)
        health(channel)
        for version in ["v1", "v1alpha"]:
            reflection(channel, version)
        our_contract(channel, audio)
    print("ok: all", flush=True)


if __name__ == "__main__":
    main()
