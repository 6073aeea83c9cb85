//! The rows, in groups that can be measured one by one.

mod forward;
mod piper;
mod recovery;
mod serve;
mod size;
mod streaming;
mod stt;
mod tts;

use crate::{Result, bed::Bed, report::Row};

/// Rows that are measured together.
pub(crate) struct Group {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Bed<'_>) -> Result<Vec<Row>>,
}

/// All of them, in the order of the table.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "tts-cold", about: "one sentence, with a server of its own", run: tts::cold },
    Group { name: "tts-warm", about: "one sentence, with a server that runs", run: tts::warm },
    Group {
        name: "piper-cold",
        about: "one sentence of a Piper voice, with everything started for it",
        run: piper::cold,
    },
    Group { name: "piper-warm", about: "a Piper voice with servers that run, time and memory", run: piper::warm },
    Group { name: "piper-threads", about: "a Piper voice with one thread and with two", run: piper::threads },
    Group { name: "stt-60", about: "60 s of speech, time and memory", run: stt::minute },
    Group { name: "stt-3", about: "3 s of speech, time and memory", run: stt::moment },
    Group { name: "forward", about: "audio through client, server and worker", run: forward::rows },
    Group { name: "worker", about: "start of a worker", run: serve::worker },
    Group { name: "recovery", about: "a worker killed in a call", run: recovery::rows },
    Group { name: "stream-latency", about: "partials and finals while people speak", run: streaming::latency },
    Group { name: "stream-recovery", about: "engine and server killed under a session", run: streaming::recovery },
    Group { name: "stream-cost", about: "processor, disk and memory of sessions", run: streaming::cost },
    Group { name: "idle", about: "memory of a server that does nothing", run: serve::idle },
    Group { name: "start", about: "start of a server", run: serve::start },
    Group { name: "size", about: "size of the program", run: size::rows },
];
