//! One file on its way: carries out what the rules of `state` want, on the thread that calls.

mod carry;

use super::{
    Caller, Ground, Told,
    disk::{self, Missing, Partial},
    failure,
    state::Machine,
    steps::{Effect, Event},
};
use crate::{
    error::{Error, Kind, Result},
    models::{
        catalogue::source::{HubFile, Source},
        digest::Digest,
        hub::Announced,
        manifest::Pinned,
        place::{Lock, Place},
    },
};
use carry::Stamp;
use std::{fs, io::Read, path::PathBuf, time::Duration};

/// One file on its way.
pub(super) struct Fetch<'a> {
    ground: &'a Ground<'a>,
    /// The package that it is of.
    name: &'a str,
    source: &'a Source,
    /// The same at a commit, as soon as one is known: so every byte and every other file of the package is of that one.
    asked: Source,
    /// What it was when it was pulled before.
    pinned: Option<Pinned>,
    machine: Machine,
    announced: Option<Announced>,
    place: Option<Place>,
    lock: Option<Lock>,
    partial: Option<Partial>,
    body: Option<Box<dyn Read + Send>>,
    piece: Vec<u8>,
    count: usize,
    has_waited: bool,
    /// What lay in its place before the lock was first tried.
    before: Option<Stamp>,
    from_network: u64,
    /// The sum of what is there, in the kind that was announced, and as SHA-256.
    found: String,
    sha256: String,
    path: PathBuf,
}

/// What became of an effect.
enum Outcome {
    Nothing,
    Next(Event),
    /// The machine stands still: what it was started for is reached.
    Over,
}

impl<'a> Fetch<'a> {
    /// A file, at this commit if it is one of the hub.
    pub(super) fn new(
        ground: &'a Ground<'a>,
        name: &'a str,
        source: &'a Source,
        commit: Option<&str>,
        pinned: Option<Pinned>,
    ) -> Self {
        Self {
            ground,
            name,
            source,
            asked: at(source, commit),
            pinned,
            machine: Machine::new(),
            announced: None,
            place: None,
            lock: None,
            partial: None,
            body: None,
            piece: Vec::new(),
            count: 0,
            has_waited: false,
            before: None,
            from_network: 0,
            found: String::new(),
            sha256: String::new(),
            path: PathBuf::new(),
        }
    }

    /// Asks what the file is. Where it comes from again, it is refused here already if it cannot be what it was.
    ///
    /// # Errors
    /// What the server says, `DataLoss`, or what the caller says.
    pub(super) fn ask(&mut self, caller: &mut Caller<'_>) -> Result<()> {
        self.run(Event::Start, caller)?;
        let place = self.made_place()?;
        let announced = self.known()?;
        let commit = announced.commit.clone();
        let now = match announced.digest {
            Some(Digest::Sha256(_)) => announced.digest.map(|digest| digest.to_string()),
            _ => None,
        };
        let size = announced.size;
        if let Some(pinned) = self.must_be() {
            let is_other = now.is_some_and(|now| now != pinned.sha256) || size.is_some_and(|size| size != pinned.size);
            if is_other {
                return Err(failure::not_what_it_was(self.file()));
            }
        }
        self.asked = at(self.source, commit.as_deref());
        self.place = Some(place);
        Ok(())
    }

    /// The commit that it is of.
    pub(super) fn commit(&self) -> Option<&str> {
        self.announced.as_ref()?.commit.as_deref()
    }

    /// The whole of it, bytes, if the server says so.
    pub(super) fn size(&self) -> Option<u64> {
        self.machine.size()
    }

    /// How much of it is there, bytes.
    pub(super) fn has(&self) -> u64 {
        let Some(place) = &self.place else { return 0 };
        let path = if place.has(self.size()) { &place.blob } else { &place.partial };
        fs::metadata(path).map_or(0, |data| data.len())
    }

    /// What has yet to come, as far as that is known.
    pub(super) fn missing(&self) -> Option<Missing<'_>> {
        let size = self.size()?;
        let is_elsewhere = |pinned: &&Pinned| fs::metadata(&pinned.path).is_ok_and(|data| data.len() == size);
        let is_url = matches!(self.source, Source::Url(_));
        let is_there = is_url && self.must_be().filter(is_elsewhere).is_some();
        let wants = if is_there { 0 } else { size.saturating_sub(self.has()) };
        Some(Missing { file: self.file(), partial: &self.place.as_ref()?.partial, wants, variable: self.variable() })
    }

    /// Its name.
    pub(super) fn file(&self) -> &'a str {
        self.source.file_name()
    }

    /// Brings the file to its place; says what it is there.
    ///
    /// # Errors
    /// Whatever hinders it, or what the caller says. What has come is kept, unless it is wrong.
    pub(super) fn pull(mut self, caller: &mut Caller<'_>) -> Result<Pinned> {
        if !self.is_in_place(caller)? {
            self.run(Event::Go, caller)?;
        }
        let size = fs::metadata(&self.path).map(|data| data.len());
        let size = size
            .map_err(|cause| Error::new(Kind::Io, format!("cannot read `{}`", self.path.display())).because(cause))?;
        let (name, file, from_network) = (self.name, self.file(), self.from_network);
        (caller.tell)(Told::Done { name, file, path: &self.path, from_network })?;
        let commit = self.commit().map(str::to_owned);
        Ok(Pinned { source: self.source.to_string(), commit, size, sha256: self.sha256, path: self.path })
    }

    /// Hands in an event, and what comes of it, until the machine stands still.
    fn run(&mut self, first: Event, caller: &mut Caller<'_>) -> Result<()> {
        let mut event = first;
        loop {
            let mut next = None;
            for effect in self.machine.on(event) {
                if let Effect::Fail(failure) = effect {
                    return Err(failure::error(failure, &self.facts()));
                }
                match self.carry_out(effect, caller) {
                    Ok(Outcome::Nothing) => {}
                    Ok(Outcome::Next(event)) => next = Some(event),
                    Ok(Outcome::Over) => return Ok(()),
                    Err(error) => {
                        next = Some(Event::Local(error));
                        break;
                    }
                }
            }
            // A row without an event would be a bug of the rules; there is no end in sight then.
            event =
                next.ok_or_else(|| Error::new(Kind::Internal, format!("pulling `{}` stands still", self.file())))?;
        }
    }

    fn carry_out(&mut self, effect: Effect, caller: &mut Caller<'_>) -> Result<Outcome> {
        let next = match effect {
            Effect::Ask => self.announcement(),
            Effect::Known | Effect::Done => return Ok(Outcome::Over),
            Effect::Lock => self.take_lock()?,
            Effect::Unlock => {
                (self.body, self.partial, self.lock) = (None, None, None);
                return Ok(Outcome::Nothing);
            }
            Effect::Watch => return self.watch(caller),
            Effect::Wait { pause, is_ours, error } => {
                let pause = if is_ours { varied(pause) } else { pause };
                let (name, file, for_what) = (self.name, self.file(), "the server");
                (caller.tell)(Told::Waiting { name, file, for_what, pause, error: Some(&error) })?;
                (caller.wait)(pause)?;
                return Ok(Outcome::Nothing);
            }
            Effect::Measure => self.measure(caller)?,
            Effect::ReadBack => {
                let (name, file) = (self.name, self.file());
                let mut each = |bytes| (caller.tell)(Told::Checking { name, file, bytes });
                self.partial()?.read_back(&mut each)?;
                Event::ReadBack
            }
            Effect::Space(wants) => match disk::lacks(&self.place()?.partial, wants, self.ground.disk) {
                Some(has) => Event::NoRoom { has },
                None => Event::Room,
            },
            Effect::Get(from) => self.get(from, caller)?,
            Effect::Read => self.read(),
            Effect::Append => {
                let (piece, count, disk) = (std::mem::take(&mut self.piece), self.count, self.ground.disk);
                let appended = self.partial()?.append(piece.get(..count).unwrap_or_default(), disk);
                self.piece = piece;
                appended?;
                self.tell_length(caller)?;
                return Ok(Outcome::Nothing);
            }
            Effect::Cut => {
                self.partial()?.cut()?;
                return Ok(Outcome::Nothing);
            }
            Effect::Discard => {
                self.partial = None;
                disk::discard(&self.place()?.partial)?;
                Event::Discarded
            }
            Effect::Check => self.check(caller)?,
            Effect::Settle => {
                self.partial = None;
                self.path = self.place()?.settle(&self.sha256)?;
                Event::Settled
            }
            // `run` has taken it.
            Effect::Fail(_) => return Ok(Outcome::Over),
        };
        Ok(Outcome::Next(next))
    }
}

/// The same file at a commit.
fn at(source: &Source, commit: Option<&str>) -> Source {
    match (source, commit) {
        (Source::Hub(file), Some(commit)) => Source::Hub(HubFile { revision: commit.to_owned(), ..file.clone() }),
        _ => source.clone(),
    }
}

/// A pause of half to all of this.
fn varied(pause: Duration) -> Duration {
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + share / 2.0)
}
