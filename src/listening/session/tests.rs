//! Sessions that are chunked, starved, killed and restored at random, against one that is left in peace.

use super::*;
use proptest::prelude::*;

/// From this loudness on a sample is speech.
const LOUD: i16 = 100;

/// A sample that kills whoever hears it.
const POISON: i16 = 666;

/// A detector that anybody can follow: how loud the frame and the two before it are.
#[derive(Clone, Debug)]
struct Loudness {
    frames: Vec<bool>,
    pending: Vec<i16>,
}

impl Detector for Loudness {
    const FRAME: usize = 4;
    const MEMORY: Samples = Samples(8);

    fn at(position: Samples, before: &[i16]) -> Self {
        assert!(before.len() as i64 >= Self::MEMORY.0.min(position.0), "too little is left of the past");
        let mut heard = Self { frames: Vec::new(), pending: Vec::new() };
        let memory = before.len().min(8);
        heard.push(&before[before.len() - memory..], &mut Vec::new());
        heard
    }

    fn push(&mut self, samples: &[i16], probabilities: &mut Vec<f32>) {
        self.pending.extend_from_slice(samples);
        while self.pending.len() >= 4 {
            let frame: Vec<i16> = self.pending.drain(..4).collect();
            self.frames.push(frame.iter().any(|sample| *sample >= LOUD));
            let recent = self.frames.iter().rev().take(3).filter(|loud| **loud).count();
            let is_loud = self.frames.last() == Some(&true);
            probabilities.push(if is_loud { 0.6 + recent as f32 / 10.0 } else { recent as f32 / 10.0 });
        }
    }

    fn finish(&mut self) -> Option<f32> {
        let missing = (4 - self.pending.len() % 4) % 4;
        let mut last = Vec::new();
        self.push(&vec![0; missing], &mut last);
        last.pop()
    }
}

fn rules() -> Rules {
    Rules {
        start_silence: Samples(60),
        end_silence: Samples(16),
        longest: Samples(120),
        threshold: 0.5,
        shortest: Samples(8),
        padding: Samples(8),
        start_timeout: None,
        end_timeout: None,
    }
}

/// What a deterministic engine hears: nothing now and then, and always something else with another context.
fn hear(window: &[i16], context: &str) -> Vec<Segment> {
    let sum = window
        .iter()
        .enumerate()
        .fold(context.len() as i64, |sum, (n, s)| sum.wrapping_mul(31).wrapping_add(n as i64 + i64::from(*s)));
    let end = Samples(window.len() as i64);
    let text = match sum.rem_euclid(7) {
        0 => "[BLANK_AUDIO]".to_owned(),
        _ => format!("{:x}", sum & 0xffff),
    };
    vec![Segment { end, text, ..Segment::default() }]
}

/// What dice decide.
#[derive(Clone, Debug)]
struct Weather<'a> {
    dice: &'a [u8],
    chunk: usize,
    is_rough: bool,
}

/// A whole session with its surroundings: the log, the engine, the client.
struct Run {
    session: Session<Loudness>,
    rules: Rules,
    /// All audio since the start, as the log has it; before `dropped`, it has been let go of.
    log: Vec<i16>,
    dropped: i64,
    checkpoint: Checkpoint,
    jobs: VecDeque<Decode>,
    decided: Vec<Decided>,
    markers: Vec<(usize, String)>,
    epoch: i64,
    /// The utterance that was told to have started.
    started: Option<i64>,
    done: Option<Option<TimedOut>>,
}

impl Run {
    fn new(rules: &Rules) -> Self {
        let mut session = Session::new(rules, "a prompt".to_owned());
        session.set_partials(None);
        let epoch = session.epoch();
        let (log, decided, markers) = (Vec::new(), Vec::new(), Vec::new());
        let (checkpoint, jobs) = (Checkpoint::default(), VecDeque::new());
        let rules = rules.clone();
        Self { session, rules, log, dropped: 0, checkpoint, jobs, decided, markers, epoch, started: None, done: None }
    }

    fn on(&mut self, event: Event) {
        if let Event::Audio(samples) = &event {
            self.log.extend_from_slice(samples);
        }
        let effects = self.session.on(event);
        self.perform(effects);
    }

    /// The server dies, and another one opens the log.
    fn restart(&mut self, has_ended: bool) {
        self.jobs.clear();
        self.started = None;
        let committed = self.checkpoint.committed.0 as usize;
        let before = self.log[self.dropped as usize..committed].to_vec();
        let past = Past { checkpoint: self.checkpoint.clone(), before, epoch: self.epoch };
        self.session = Session::restore(&self.rules, "a prompt".to_owned(), past);
        assert!(self.session.epoch() > self.epoch);
        self.epoch = self.session.epoch();
        let rest = self.log[committed..].to_vec();
        let effects = self.session.on(Event::Audio(rest));
        self.perform(effects);
        if has_ended {
            self.on(Event::EndOfAudio);
        }
    }

    fn commit(&mut self, checkpoint: Checkpoint) {
        assert!(checkpoint.committed > self.checkpoint.committed, "what is committed never comes back");
        self.dropped = Session::<Loudness>::needed_by(&checkpoint).0;
        self.checkpoint = checkpoint;
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Decode(decode) => {
                    assert!(self.jobs.is_empty(), "one decode at a time");
                    assert!(decode.from >= self.checkpoint.committed && decode.to.0 <= self.log.len() as i64);
                    assert!(decode.to.0 - decode.from.0 <= self.rules.longest.0);
                    let (from, to) = (decode.from.0 as usize, decode.to.0 as usize);
                    assert_eq!(self.session.window(&decode)[..to - from], self.log[from..to]);
                    self.jobs.push_back(decode);
                }
                Effect::Cancel { job } => self.jobs.retain(|decode| decode.job != job),
                Effect::Started { utterance, .. } => {
                    assert_eq!(self.started.replace(utterance), None, "the one before has not ended");
                }
                Effect::Partial { utterance, text, confirmed, .. } => {
                    assert_eq!(self.started, Some(utterance));
                    assert!(confirmed <= text.chars().count());
                }
                Effect::Decided { decided, checkpoint } => {
                    assert_eq!(self.started.take(), Some(decided.utterance));
                    assert_eq!(decided.to, checkpoint.committed);
                    self.decided.push(*decided);
                    self.commit(*checkpoint);
                }
                Effect::Quiet { checkpoint } => self.commit(*checkpoint),
                Effect::Epoch(epoch) => {
                    assert!(epoch > self.epoch);
                    self.epoch = epoch;
                }
                Effect::Marker(id) => self.markers.push((self.decided.len(), id)),
                Effect::Done { timed_out } => {
                    assert!(self.done.replace(timed_out).is_none(), "it ends once");
                    assert!(self.started.is_none() && self.jobs.is_empty());
                }
            }
        }
    }

    /// The engine does the work that waits: well, or it dies of it, or is killed.
    fn work(&mut self, roll: u8, is_rough: bool) {
        let Some(decode) = self.jobs.pop_front() else { return };
        let window = self.session.window(&decode);
        let job = decode.job;
        if is_rough && roll.is_multiple_of(3) {
            self.on(Event::Lost { job, own_doing: None });
            // The dead are not listened to.
            let segments = hear(&[1, 2, 3], "from the grave");
            self.on(Event::Decoded { job, segments, language: "xx".to_owned() });
        } else if window.contains(&POISON) {
            self.on(Event::Lost { job, own_doing: Some("SIGABRT".to_owned()) });
        } else if is_rough && roll % 5 == 1 && decode.purpose == Purpose::Partial {
            self.on(Event::Declined { job });
        } else {
            let segments = hear(&window, &decode.context);
            self.on(Event::Decoded { job, segments, language: "en".to_owned() });
        }
    }

    fn play(rules: &Rules, audio: &[i16], weather: &Weather<'_>) -> Self {
        let mut run = Self::new(rules);
        let mut chunks = audio.chunks(weather.chunk.max(1));
        let mut dice = weather.dice.iter().cycle();
        let (mut is_open, mut restarts) = (true, 0);
        for _ in 0..1_000_000 {
            if run.done.is_some() {
                return run;
            }
            let roll = dice.next().copied().unwrap_or(1);
            if weather.is_rough {
                run.session.set_partials((roll % 4 > 0).then_some(Samples(i64::from(roll))));
                if roll % 11 == 5 && restarts < 10 {
                    restarts += 1;
                    run.restart(!is_open);
                    continue;
                }
            }
            if is_open && (run.jobs.is_empty() || (weather.is_rough && roll.is_multiple_of(2))) {
                match chunks.next() {
                    Some(chunk) => run.on(Event::Audio(chunk.to_vec())),
                    None => {
                        is_open = false;
                        run.on(Event::EndOfAudio);
                    }
                }
            } else {
                run.work(roll, weather.is_rough);
            }
        }
        panic!("it does not end");
    }
}

/// Stretches of speech and of silence; a few samples of speech are deadly.
fn audio() -> impl Strategy<Value = Vec<i16>> {
    let stretch = (any::<bool>(), 1usize..150, any::<i16>(), 0usize..400);
    proptest::collection::vec(stretch, 0..12).prop_map(|stretches| {
        let mut audio = Vec::new();
        for (is_loud, length, seed, poison) in stretches {
            let sample = |n: usize| match is_loud {
                true if n == poison => POISON,
                true => LOUD + (seed.wrapping_mul(n as i16 + 7)).rem_euclid(500),
                false => seed.wrapping_add(n as i16).rem_euclid(50),
            };
            audio.extend((0..length).map(sample));
        }
        audio
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// The invariant: finals are a function of the audio alone.
    #[test]
    fn finals_are_a_function_of_the_audio(
        audio in audio(),
        chunk in 1usize..200,
        dice in proptest::collection::vec(any::<u8>(), 1..80),
        limits in (proptest::option::of(20i64..300), proptest::option::of(20i64..300)),
    ) {
        let rules = Rules { start_timeout: limits.0.map(Samples), end_timeout: limits.1.map(Samples), ..rules() };
        let calm = Run::play(&rules, &audio, &Weather { dice: &[1], chunk: audio.len(), is_rough: false });
        // Dice that always kill would go on for ever.
        let mut dice = dice;
        dice.push(1);
        let rough = Run::play(&rules, &audio, &Weather { dice: &dice, chunk, is_rough: true });
        prop_assert_eq!(&rough.decided, &calm.decided);
        prop_assert_eq!(&rough.done, &calm.done);
        prop_assert_eq!(&rough.checkpoint, &calm.checkpoint);
        let seqs: Vec<i64> = calm.decided.iter().filter_map(|decided| decided.seq).collect();
        let contiguous: Vec<i64> = (1..=seqs.len() as i64).collect();
        prop_assert_eq!(seqs, contiguous);
        if calm.done == Some(None) {
            prop_assert_eq!(calm.checkpoint.committed.0, audio.len() as i64);
        }
        // Every loud sample of a long enough sound was decoded, or is told missing.
        for decided in &calm.decided {
            prop_assert!(decided.segments.iter().all(|segment| segment.start >= decided.from && segment.end <= decided.to));
            let is_deadly = audio[decided.from.0 as usize..decided.to.0 as usize].contains(&POISON);
            prop_assert_eq!(!decided.gaps.is_empty(), is_deadly);
        }
    }
}

#[test]
fn a_marker_is_told_once_everything_before_it_is_decided() {
    let mut run = Run::new(&rules());
    run.on(Event::Audio(vec![LOUD; 40]));
    let at = run.session.end_of_audio();
    run.on(Event::Marker { id: "here".to_owned(), at });
    run.on(Event::Audio(vec![0; 40]));
    assert!(run.markers.is_empty(), "the utterance is not decided");
    run.work(1, false);
    assert_eq!(run.markers, [(1, "here".to_owned())]);
    let at = run.session.end_of_audio();
    run.on(Event::Marker { id: "in silence".to_owned(), at });
    assert_eq!(run.markers.len(), 1);
    run.on(Event::EndOfAudio);
    assert_eq!(run.markers.len(), 2);
}

#[test]
fn a_partial_gives_way_to_the_final() {
    let mut run = Run::new(&rules());
    run.rules.longest = Samples(1 << 20);
    run.session = Session::new(&run.rules, String::new());
    run.session.set_partials(Some(Samples(10)));
    run.on(Event::Audio(vec![LOUD; 10_000]));
    assert_eq!(run.jobs[0].purpose, Purpose::Partial);
    let partial = run.jobs[0].job;
    run.on(Event::Audio(vec![0; 40]));
    assert_eq!(run.jobs.len(), 1, "the partial was cancelled");
    assert!(run.jobs[0].purpose == Purpose::Final && run.jobs[0].job > partial);
}

#[test]
fn what_kills_a_partial_is_left_alone_until_it_has_ended() {
    let mut run = Run::new(&rules());
    run.rules.longest = Samples(1 << 20);
    run.session = Session::new(&run.rules, String::new());
    run.session.set_partials(Some(Samples(10)));
    let mut speech = vec![LOUD; 10_000];
    speech[50] = POISON;
    run.on(Event::Audio(speech));
    run.work(1, false);
    run.on(Event::Audio(vec![LOUD; 1000]));
    assert!(run.jobs.is_empty(), "no more partials");
    let is_killed_from_outside = |run: &mut Run| {
        let job = run.jobs.pop_front().expect("the final").job;
        run.on(Event::Lost { job, own_doing: None });
    };
    run.on(Event::Audio(vec![0; 40]));
    is_killed_from_outside(&mut run);
    assert_eq!(run.jobs.len(), 1, "made again at once");
}

#[test]
fn the_context_is_the_prompt_and_then_what_was_said() {
    let mut run = Run::new(&rules());
    let utterance = [vec![LOUD; 40], vec![0; 24]].concat();
    run.on(Event::Audio([utterance.clone(), utterance].concat()));
    assert_eq!(run.jobs[0].context, "a prompt");
    run.work(1, false);
    assert_eq!(run.jobs[0].context, speech::join(&run.decided[0].segments));
}

#[test]
fn speech_goes_to_the_last_sample() {
    let mut run = Run::new(&rules());
    run.on(Event::Audio(vec![LOUD; 41]));
    run.on(Event::EndOfAudio);
    assert_eq!((run.jobs[0].to, run.jobs[0].silence), (Samples(41), AFTER_SPEECH as usize));
    run.work(1, false);
    assert_eq!((run.decided[0].speech_end, run.decided[0].to), (Samples(41), Samples(41)));
}

#[test]
fn a_death_makes_partials_void() {
    let mut run = Run::new(&rules());
    run.rules.longest = Samples(1 << 20);
    run.session = Session::new(&run.rules, String::new());
    run.session.set_partials(Some(Samples(10)));
    let heard = |run: &mut Run| {
        let job = run.jobs.pop_front().expect("a partial").job;
        let segments = vec![Segment { text: "turn on".to_owned(), ..Segment::default() }];
        let effects = run.session.on(Event::Decoded { job, segments, language: String::new() });
        let confirmed = effects.iter().find_map(|effect| match effect {
            Effect::Partial { confirmed, .. } => Some(*confirmed),
            _ => None,
        });
        run.perform(effects);
        run.on(Event::Audio(vec![LOUD; 1000]));
        confirmed.expect("a partial")
    };
    run.on(Event::Audio(vec![LOUD; 10_000]));
    assert_eq!((heard(&mut run), heard(&mut run)), (0, 7));
    let job = run.jobs.pop_front().expect("a partial").job;
    run.on(Event::Lost { job, own_doing: None });
    assert_eq!((heard(&mut run), heard(&mut run)), (0, 7));
}
