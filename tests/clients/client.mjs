#!/usr/bin/env node
// A foreign client of a running `speechctl serve`: Node, @grpc/grpc-js.
//
// usage: client.mjs ADDRESS PROTO_FOLDER
//
// ADDRESS is HOST:PORT or unix:PATH of a server that was started with `--model selftest`. PROTO_FOLDER holds
// example/speech_recognition.proto and speechctl/v1/speech.proto.
//
// The packages are looked for beside this file and above, in NODE_PATH, and in the working folder.
//
// Prints `ok: ...` for each check. Exit: 0 all passed, 1 a check failed, 2 wrong usage, 77 a package is missing.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const TEXT = "turn on the kitchen light";
const TIMEOUT = 30_000; // for a call
const TOTAL = 120_000; // for everything

// @grpc/grpc-js has no health definitions of its own.
const HEALTH_PROTO = `
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
`;

function stop(code, message) {
  console.error(`client.mjs: ${message}`);
  process.exit(code);
}

function load(name) {
  for (const place of [import.meta.url, join(process.cwd(), "any.js")]) {
    try {
      return createRequire(place)(name);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND" || !error.message.includes(`'${name}'`)) {
        throw error;
      }
    }
  }
  stop(77, `no package ${name}; needs \`npm install @grpc/grpc-js @grpc/proto-loader\``);
}

function need(condition, message) {
  if (!condition) {
    throw new Error(message);
  }
}

async function check(what, work) {
  let result;
  try {
    result = await work();
  } catch (error) {
    stop(1, `FAILED: ${what}: ${error.message}`);
  }
  console.log(`ok: ${what}`);
  return result;
}

function wav(data) {
  need(data.toString("latin1", 0, 4) === "RIFF" && data.toString("latin1", 8, 12) === "WAVE", "not a WAV file");
  need(data.readUInt32LE(4) === data.length - 8, `RIFF says ${data.readUInt32LE(4)} bytes of ${data.length - 8}`);
  let rate;
  for (let at = 12; at + 8 <= data.length; ) {
    const name = data.toString("latin1", at, at + 4);
    const size = data.readUInt32LE(at + 4);
    const body = data.subarray(at + 8, at + 8 + size);
    need(body.length === size, `chunk ${name} says ${size} bytes, has ${body.length}`);
    if (name === "fmt ") {
      need(body.readUInt16LE(0) === 1 && body.readUInt16LE(14) === 16, "not PCM of 16 bits");
      need(body.readUInt16LE(2) === 1, `${body.readUInt16LE(2)} channels`);
      rate = body.readUInt32LE(4);
    } else if (name === "data") {
      need(rate, "data before fmt");
      need(size > rate, `only ${size} bytes at ${rate} Hz`);
      return rate;
    }
    at += 8 + size + (size % 2);
  }
  throw new Error("no chunk data");
}

if (process.argv.length !== 4) {
  stop(2, "usage: client.mjs ADDRESS PROTO_FOLDER");
}
const address = process.argv[2];
const protos = resolve(process.argv[3]);
const files = ["example/speech_recognition.proto", "speechctl/v1/speech.proto"].map((name) => join(protos, name));
for (const file of files) {
  if (!existsSync(file)) {
    stop(2, `no ${file}`);
  }
}
const grpc = load("@grpc/grpc-js");
const loader = load("@grpc/proto-loader");
setTimeout(() => stop(1, `FAILED: not done after ${TOTAL / 1000} s`), TOTAL).unref();

const folder = mkdtempSync(join(tmpdir(), "speechctl-client-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const health = join(folder, "health.proto");
writeFileSync(health, HEALTH_PROTO);

const definitions = loader.loadSync([...files, health], {
  includeDirs: [protos],
  keepCase: true,
  longs: Number,
  enums: String,
  oneofs: true,
});
const root = grpc.loadPackageDefinition(definitions);

// A proxy of the environment is not for a server on this machine.
const options = { "grpc.enable_http_proxy": 0 };
const credentials = grpc.credentials.createInsecure();
const deadline = () => ({ deadline: Date.now() + TIMEOUT });

// One call with one answer, as a promise.
function unary(client, method, request) {
  return new Promise((done, failed) => {
    client[method](request, deadline(), (error, reply) => (error ? failed(error) : done(reply)));
  });
}

async function refused(code, call) {
  let reply;
  try {
    reply = await call;
  } catch (error) {
    need(error.code === grpc.status[code], `wanted ${code}, got ${error.message}`);
    need(error.details, `${code} without a message`);
    return;
  }
  throw new Error(`wanted ${code}, but the call succeeded: ${JSON.stringify(reply).slice(0, 200)}`);
}

const example = new root.example.SpeechRecognition(address, credentials, options);
const ours = new root.speechctl.v1.SpeechRecognition(address, credentials, options);
const checker = new root.grpc.health.v1.Health(address, credentials, options);

const audio = await check("example tts: a WAV file, mono, 16 bit, longer than 0.5 s", async () => {
  const reply = await unary(example, "tts", { text: TEXT, region: "" });
  wav(reply.audio);
  return reply.audio;
});
await check(`example stt of that audio: '${TEXT}'`, async () => {
  const { transcription } = await unary(example, "stt", { audio });
  need(transcription === TEXT, `heard '${transcription}'`);
});
await check("example tts: empty text is INVALID_ARGUMENT", async () => {
  await refused("INVALID_ARGUMENT", unary(example, "tts", { text: "", region: "" }));
});
await check("example stt: no audio is INVALID_ARGUMENT", async () => {
  await refused("INVALID_ARGUMENT", unary(example, "stt", { audio: Buffer.alloc(0) }));
});

for (const service of ["", "example.SpeechRecognition", "speechctl.v1.SpeechRecognition", "stt", "tts"]) {
  await check(`health Check of "${service}": SERVING`, async () => {
    const { status } = await unary(checker, "Check", { service });
    need(status === "SERVING", `status ${status}`);
  });
}
await check("health Check of an unknown name: NOT_FOUND", async () => {
  await refused("NOT_FOUND", unary(checker, "Check", { service: "no.such.Service" }));
});

await check("Synthesize: the format first, then audio, PCM16", async () => {
  const events = [];
  for await (const event of ours.Synthesize({ text: TEXT }, deadline())) {
    events.push(event);
  }
  const kinds = events.map((event) => event.event);
  need(kinds[0] === "format", `events ${kinds.slice(0, 3)}`);
  need(kinds.length > 1 && kinds.slice(1).every((kind) => kind === "audio"), `events ${kinds}`);
  const { format } = events[0];
  need(format.encoding === "OUTPUT_ENCODING_PCM16", `encoding ${format.encoding}`);
  need(format.channels === 1, `${format.channels} channels`);
  need(format.sample_rate_hertz === wav(audio), `${format.sample_rate_hertz} Hz, the example has ${wav(audio)} Hz`);
  const bytes = events.slice(1).reduce((sum, event) => sum + event.audio.length, 0);
  need(bytes % 2 === 0 && bytes > format.sample_rate_hertz, `${bytes} bytes`);
});

for (const client of [example, ours, checker]) {
  client.close();
}
console.log("ok: all");
