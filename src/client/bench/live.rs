//! A client that speaks one session to its end, whatever breaks on the way: it keeps the audio behind the last final, and
//! goes on from where the server says.

use super::{
    book::{Book, Life, Resume},
    proxy::Wire,
    scene::{Pace, Scene, Script},
};
use crate::{
    client::connect,
    error::{Error, Kind},
    proto::{
        status::is_ours,
        v1::{
            self, speech_recognition_client::SpeechRecognitionClient, streaming_recognize_request::Message,
            streaming_recognize_response::Event,
        },
    },
};
use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::mpsc::{self, Permit},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// How long a session may make no progress.
const STALL: Duration = Duration::from_secs(60);

/// The pause before another try to reach the server.
const PAUSE: Duration = Duration::from_millis(20);

/// The pause before another try where the server has no room for one more session.
const REFUSED: Duration = Duration::from_millis(250);

/// Messages on their way to the transport.
const AHEAD: usize = 4;

/// The sizes of chunks, in seconds.
const CHUNK: (f64, f64) = (0.02, 0.5);

/// How one attachment ended.
enum End {
    /// The session is over.
    Done,
    /// The stream broke: what it said, if it is not the transport that says it.
    Broken(Option<String>),
    /// The server has no room.
    Refused,
    /// The session cannot go on, or does not.
    Failed(String),
}

/// Speaks a session to its end. `None` where there was no room for it before everything was over.
pub(super) async fn speak(script: Script, scene: Arc<Scene>, wire: Arc<Wire>) -> Option<Book> {
    let now = Instant::now();
    let mut live = Live {
        script,
        scene,
        wire,
        book: Book::default(),
        id: String::new(),
        key: None,
        openings: 0,
        position: 0,
        has_ended: false,
        acknowledge: None,
        due: now,
        alive: now,
        began: now,
        broke: None,
        kills: 0,
        struck: None,
    };
    let has_spoken = live.run().await;
    live.book.close(live.script.speech.samples());
    has_spoken.then_some(live.book)
}

struct Live {
    script: Script,
    scene: Arc<Scene>,
    wire: Arc<Wire>,
    book: Book,
    id: String,
    /// What a resume needs.
    key: Option<String>,
    openings: usize,
    /// The next sample to send.
    position: i64,
    /// Whether the end was said.
    has_ended: bool,
    /// The final that is to be acknowledged.
    acknowledge: Option<i64>,
    /// When the next chunk is due.
    due: Instant,
    /// The last sign of life.
    alive: Instant,
    /// When this attachment began.
    began: Instant,
    /// What broke the attachment that was ready, and when.
    broke: Option<(Life, Instant)>,
    /// Kills of engines that were looked at, and the one from which this session has not recovered.
    kills: usize,
    struck: Option<Instant>,
}

impl Live {
    /// Says whether there was room for it.
    async fn run(&mut self) -> bool {
        loop {
            let was_ready = self.key.is_some();
            match self.attach().await {
                End::Done => return true,
                End::Broken(why) => {
                    self.note_break(why);
                    sleep(PAUSE).await;
                }
                End::Refused if self.key.is_none() && self.scene.is_over.load(Ordering::Relaxed) => return false,
                End::Refused => {
                    self.scene.refused.fetch_add(1, Ordering::Relaxed);
                    // Others have to end first, and it is enough that they live.
                    let alive = *self.scene.alive.lock().unwrap_or_else(PoisonError::into_inner);
                    self.alive = self.alive.max(alive);
                    sleep(REFUSED).await;
                }
                End::Failed(why) => {
                    self.book.faults.broken.push(why);
                    return true;
                }
            }
            if Instant::now() >= self.alive + STALL {
                let what = if was_ready { "to be resumed" } else { "to be opened" };
                self.book.faults.broken.push(format!("no progress for 60 s: it waited {what}"));
                return true;
            }
        }
    }

    /// Finds out who broke a stream. Only what the bench does may do so.
    fn note_break(&mut self, why: Option<String>) {
        let cut = self.wire.cut_at().filter(|at| *at >= self.began).map(|at| (Life::Connection, at));
        let death = self.scene.lives.death_after(self.began).map(|(at, _)| (Life::Server, at));
        let cause = cut.into_iter().chain(death).min_by_key(|(_, at)| *at);
        if self.key.is_some() && self.broke.is_none() {
            self.broke = cause;
        }
        if self.book.is_attached() && cause.is_none() {
            let why = why.unwrap_or_else(|| "the transport broke".to_owned());
            self.book.faults.broken.push(format!("the stream broke by itself: {why}"));
        }
        self.struck = None;
    }

    async fn attach(&mut self) -> End {
        self.book.attach();
        self.began = Instant::now();
        self.due = self.began;
        let deadline = self.alive + STALL;
        let (mouth, said) = mpsc::channel(AHEAD);
        let config = v1::StreamingRecognizeRequest { message: Some(Message::Config(self.config())) };
        if mouth.send(config).await.is_err() {
            return End::Broken(None);
        }
        let calling = async {
            let address = self.wire.address.to_string();
            let channel = connect(&address).await.map_err(|error| Status::unavailable(error.to_string()))?;
            SpeechRecognitionClient::new(channel).streaming_recognize(ReceiverStream::new(said)).await
        };
        match timeout_at(deadline, calling).await {
            Ok(Ok(answer)) => self.converse(mouth, answer.into_inner()).await,
            Ok(Err(status)) => self.ended(status),
            Err(_) => End::Broken(None),
        }
    }

    fn config(&mut self) -> v1::StreamingConfig {
        let resume = self.key.clone().map(|resume_key| v1::Resume { last_seq: self.book.last_seq(), resume_key });
        if resume.is_none() {
            // Of a session whose first answer was lost, nobody has the key: it gets another name.
            self.openings += 1;
            self.id = format!("{}-{}", self.script.name, self.openings);
        }
        let recognition = v1::RecognitionConfig {
            model: self.script.model.clone(),
            encoding: v1::InputEncoding::Pcm16.into(),
            sample_rate_hertz: i32::try_from(self.script.speech.rate).unwrap_or(0),
            word_times: true,
            fast: self.script.fast,
            beam_size: i32::from(self.script.fast),
            ..Default::default()
        };
        v1::StreamingConfig {
            session_id: self.id.clone(),
            recognition: Some(recognition),
            interim_results: self.script.interim,
            resume,
            ..Default::default()
        }
    }

    async fn converse(
        &mut self,
        mouth: mpsc::Sender<v1::StreamingRecognizeRequest>,
        mut told: Streaming<v1::StreamingRecognizeResponse>,
    ) -> End {
        // Nothing is said before the server has said from where on.
        let mut is_deaf = false;
        loop {
            let stalled = self.alive + STALL;
            let due = self.due_to_say();
            let may_say = !is_deaf && self.book.is_attached();
            tokio::select! {
                message = told.message() => match message {
                    Ok(Some(message)) => self.hear(message),
                    Ok(None) if self.book.done.is_some() => return End::Done,
                    Ok(None) => return End::Broken(Some("the stream ended before the session".to_owned())),
                    Err(status) => return self.ended(status),
                },
                permit = turn(&mouth, due), if may_say => match permit {
                    Some(permit) => {
                        let said = self.say();
                        permit.send(v1::StreamingRecognizeRequest { message: Some(said) });
                    }
                    None => is_deaf = true,
                },
                () = sleep_until(stalled) => {
                    let (awaited, sent, decided) = (self.book.awaited(), self.position, self.book.decided);
                    return End::Failed(format!(
                        "no progress for 60 s: it waited for {awaited}, with {sent} samples sent and {decided} decided"
                    ));
                }
            }
        }
    }

    fn ended(&self, status: Status) -> End {
        let is_told = is_ours(&status);
        let error = Error::from(status);
        match error.kind() {
            Kind::Busy if !self.book.is_attached() => End::Refused,
            Kind::Unavailable | Kind::Busy | Kind::Deadline | Kind::Superseded if is_told => {
                End::Broken(Some(error.to_string()))
            }
            _ if !is_told => End::Broken(Some(error.to_string())),
            _ => End::Failed(format!("the server refuses to go on: {error}")),
        }
    }

    /// When the next thing is to be said, if there is one.
    fn due_to_say(&self) -> Option<Instant> {
        match (self.acknowledge, self.has_ended) {
            (Some(_), _) => Some(Instant::now()),
            (None, false) => Some(self.due),
            (None, true) => None,
        }
    }

    fn say(&mut self) -> Message {
        if let Some(seq) = self.acknowledge.take() {
            return Message::Acknowledge(v1::Acknowledge { seq });
        }
        let (length, rate) = (self.script.speech.samples(), f64::from(self.script.speech.rate));
        if self.position >= length {
            self.has_ended = true;
            return Message::End(v1::EndOfAudio {});
        }
        let seconds = match self.script.pace {
            Pace::Hurried(..) => self.script.random.between(CHUNK.0, CHUNK.1),
            Pace::RealTime => 0.1,
        };
        let from = self.position;
        self.position = (from + (seconds * rate) as i64).min(length);
        self.book.sent(self.position);
        let behind = (self.position - self.book.decided) as f64 / rate;
        let speed = match self.script.pace {
            Pace::Hurried(speed, most) if behind < most => speed,
            Pace::Hurried(..) | Pace::RealTime => 1.0,
        };
        self.due = self.due.max(Instant::now() - Duration::from_secs(1)) + Duration::from_secs_f64(seconds / speed);
        let data = self.script.speech.part(from, self.position);
        Message::Audio(v1::AudioChunk { data, first_sample: Some(from) })
    }

    fn hear(&mut self, message: v1::StreamingRecognizeResponse) {
        self.alive = Instant::now();
        *self.scene.alive.lock().unwrap_or_else(PoisonError::into_inner) = self.alive;
        let Some(event) = message.event else { return };
        self.note_kills();
        if self.book.take(&event)
            && let Some(struck) = self.struck.take()
        {
            self.book.delays.recovery.push(struck.elapsed());
        }
        match event {
            Event::Ready(ready) => {
                self.position = ready.next_sample.clamp(0, self.script.speech.samples());
                self.has_ended = false;
                self.note_resume();
                self.key = Some(ready.resume_key);
                self.kills = self.scene.kills().len();
            }
            Event::Final(told) => {
                self.scene.finals.fetch_add(1, Ordering::Relaxed);
                if self.script.random.below(2) == 0 {
                    self.acknowledge = Some(told.seq);
                }
            }
            Event::Backpressure(wait) => {
                self.due = Instant::now() + Duration::from_millis(wait.delay_ms.clamp(0, 60_000).unsigned_abs());
            }
            _ => {}
        }
    }

    /// Looks whether an engine was killed while this session was speaking.
    fn note_kills(&mut self) {
        let kills = self.scene.kills();
        if let Some(first) = kills.get(self.kills)
            && self.book.is_speaking()
        {
            self.struck = self.struck.or(Some(*first));
        }
        self.kills = kills.len();
    }

    /// A stream that broke is there again.
    fn note_resume(&mut self) {
        let Some((cause, at)) = self.broke.take() else { return };
        let listened = self.scene.lives.death_after(at).and_then(|(_, listened)| listened);
        let restart = listened.filter(|_| cause == Life::Server).map(|listened| listened.saturating_duration_since(at));
        self.book.resumes.push(Resume { cause, took: at.elapsed(), restart });
    }
}

/// Waits until it is time to say something, and there is room for it. `None` once nobody listens any more.
async fn turn<T>(mouth: &mpsc::Sender<T>, due: Option<Instant>) -> Option<Permit<'_, T>> {
    let Some(due) = due else { return std::future::pending().await };
    sleep_until(due).await;
    mouth.reserve().await.ok()
}
