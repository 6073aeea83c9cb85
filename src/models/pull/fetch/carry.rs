//! The single things that are done for a file on its way: each is one effect, and says what came of it.

use super::{Fetch, Outcome};
use crate::{
    config,
    error::{Error, Kind, Result},
    models::{
        cache::Cache,
        catalogue::source::Source,
        digest::{self, Digest, Ended},
        files,
        hub::Announced,
        manifest::Pinned,
        place::{self, Place},
        pull::{
            Caller, Told,
            disk::{PIECE, Partial},
            failure,
            steps::{Event, Facts, Verdict},
        },
    },
};
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

/// How often it is looked whether somebody else is done.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What tells a file from one that took its place: inode, time of the last change, length.
pub(super) type Stamp = (u64, i64, i64, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|data| (data.ino(), data.mtime(), data.mtime_nsec(), data.len()))
}

impl Fetch<'_> {
    /// `Ask`.
    pub(super) fn announcement(&mut self) -> Event {
        (self.place, self.body) = (None, None);
        match self.ground.origin.announced(&self.asked) {
            Ok(announced) => {
                let can_resume = announced.digest.is_some() || announced.etag.is_some();
                let facts = Facts { size: announced.size, can_resume };
                self.announced = Some(announced);
                Event::Announced(facts)
            }
            Err(refusal) => Event::Refused(refusal),
        }
    }

    /// `Lock`.
    pub(super) fn take_lock(&mut self) -> Result<Event> {
        if self.place.is_none() {
            self.place = Some(self.made_place()?);
        }
        if !self.has_waited {
            self.before = stamp(&self.place()?.blob);
        }
        let place = self.place()?;
        place.prepare()?;
        self.lock = place.lock()?;
        Ok(if self.lock.is_some() { Event::Taken } else { Event::Held })
    }

    /// `Watch`: somebody else pulls the same file; his bytes are as good as ours.
    pub(super) fn watch(&mut self, caller: &mut Caller<'_>) -> Result<Outcome> {
        let (name, file) = (self.name, self.file());
        if !self.has_waited {
            self.has_waited = true;
            let for_what = "another process that is pulling it";
            (caller.tell)(Told::Waiting { name, file, for_what, pause: LOOK_AGAIN, error: None })?;
        }
        if let Ok(data) = fs::metadata(&self.place()?.partial) {
            (caller.tell)(Told::Came { name, file, bytes: data.len(), is_others: true })?;
        }
        (caller.wait)(LOOK_AGAIN)?;
        Ok(Outcome::Nothing)
    }

    /// `Measure`.
    pub(super) fn measure(&mut self, caller: &mut Caller<'_>) -> Result<Event> {
        let blob = self.place()?.blob.clone();
        let (digest, size) = (self.known()?.digest, self.known()?.size);
        // Of a URL's file nobody can say whether it still is the same; one that was brought while we waited is.
        let was_brought = self.has_waited && stamp(&blob) != self.before;
        let is_known = digest.is_some() || (!self.ground.force && size.is_some()) || was_brought;
        if is_known && self.place()?.has(size) && self.is_right(&blob, caller)? {
            return Ok(Event::Blob);
        }
        let partial = Partial::open(&self.place()?.partial, digest, size)?;
        let length = partial.length()?;
        self.partial = Some(partial);
        Ok(Event::Partial(length))
    }

    /// `Get`.
    pub(super) fn get(&mut self, from: u64, caller: &mut Caller<'_>) -> Result<Event> {
        self.body = None;
        self.tell_length(caller)?;
        Ok(match self.ground.origin.open(&self.asked, self.known()?, from) {
            Ok(opened) => {
                self.body = Some(opened.body);
                Event::Opened { start: opened.start, total: opened.total }
            }
            Err(refusal) => Event::Refused(refusal),
        })
    }

    /// `Read`.
    pub(super) fn read(&mut self) -> Event {
        self.piece.resize(PIECE, 0);
        let read = loop {
            let Some(body) = &mut self.body else { break Ok(0) };
            match body.read(&mut self.piece) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(count) if count > 0 => {
                self.count = count;
                let count = u64::try_from(count).unwrap_or(0);
                self.from_network += count;
                return Event::Bytes(count);
            }
            Ok(_) => self.body = None,
            Err(cause) => {
                self.body = None;
                let what = match cause.kind() {
                    io::ErrorKind::TimedOut => "nothing more comes from the server",
                    _ => "the connection to the server broke",
                };
                return Event::Cut(Error::new(Kind::Unavailable, what).because(cause));
            }
        }
        Event::End
    }

    /// `Check`.
    pub(super) fn check(&mut self, caller: &mut Caller<'_>) -> Result<Event> {
        let ended = match self.partial.take().and_then(Partial::end) {
            Some(ended) => ended,
            None => {
                let path = self.place()?.partial.clone();
                self.digest_of(&path, caller)?
            }
        };
        let is_wrong = ended.is_right == Some(false);
        let is_other = self.must_be().is_some_and(|pinned| pinned.sha256 != ended.sha256);
        (self.found, self.sha256) = (ended.found, ended.sha256);
        Ok(Event::Checked(match (is_wrong, is_other) {
            (true, _) => Verdict::Wrong,
            (false, true) => Verdict::NotWhatItWas,
            (false, false) => Verdict::Right,
        }))
    }

    /// Whether everything is where it shall be, so that neither a lock nor a byte is wanted, and no folder that can be
    /// written.
    pub(super) fn is_in_place(&mut self, caller: &mut Caller<'_>) -> Result<bool> {
        let announced = self.known()?;
        let is_size = |size| announced.size.is_none_or(|announced| announced == size);
        let path = match self.source {
            Source::Hub(file) => {
                let cache = Cache::new(self.ground.settings.cache.clone());
                let is_it = |commit: &str, digest| Some(commit) == self.commit() && digest == announced.digest;
                let found = cache.find(file).filter(|found| is_it(&found.commit, found.digest) && is_size(found.size));
                found.map(|found| found.path)
            }
            Source::Url(_) => {
                let pinned = self.must_be().filter(|pinned| is_size(pinned.size));
                let is_there =
                    |pinned: &&Pinned| fs::metadata(&pinned.path).is_ok_and(|data| data.len() == pinned.size);
                pinned.filter(is_there).map(|pinned| pinned.path.clone())
            }
        };
        match path {
            Some(path) if self.is_right(&path, caller)? => {
                self.path = path;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether a file that is there is the one: it was checked when it was pinned, or it is read now.
    fn is_right(&mut self, path: &Path, caller: &mut Caller<'_>) -> Result<bool> {
        let (digest, is_url) = (self.known()?.digest, matches!(self.source, Source::Url(_)));
        if let Some(pinned) = self.pinned.as_ref().filter(|_| !self.ground.force) {
            let is_same = match digest {
                Some(Digest::Sha256(_)) => digest.is_some_and(|digest| digest.to_string() == pinned.sha256),
                _ => is_url && fs::metadata(path).is_ok_and(|data| data.len() == pinned.size),
            };
            let is_it =
                |a: &Path, b: &Path| a == b || a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a));
            if is_same && is_it(&pinned.path, path) {
                self.sha256.clone_from(&pinned.sha256);
                return Ok(true);
            }
        }
        let ended = self.digest_of(path, caller)?;
        let is_other = self.must_be().is_some_and(|pinned| pinned.sha256 != ended.sha256);
        self.sha256 = ended.sha256;
        Ok(ended.is_right != Some(false) && !is_other)
    }

    fn digest_of(&self, path: &Path, caller: &mut Caller<'_>) -> Result<Ended> {
        let (name, file) = (self.name, self.file());
        digest::of_file(path, self.known()?.digest, &mut |bytes| (caller.tell)(Told::Checking { name, file, bytes }))
    }

    /// What it was when it was pulled before, if it has to be that again.
    pub(super) fn must_be(&self) -> Option<&Pinned> {
        let is_fixed = |pinned: &&Pinned| pinned.commit.as_deref() == self.commit();
        self.pinned.as_ref().filter(|_| !self.ground.force).filter(is_fixed)
    }

    pub(super) fn made_place(&self) -> Result<Place> {
        let announced = self.known()?;
        match self.source {
            Source::Hub(file) => Cache::new(self.ground.settings.cache.clone()).place(file, announced),
            Source::Url(url) => files::place(&self.ground.settings.data, url, announced),
        }
    }

    pub(super) fn tell_length(&self, caller: &mut Caller<'_>) -> Result<()> {
        let bytes = self.machine.on_disk();
        (caller.tell)(Told::Came { name: self.name, file: self.file(), bytes, is_others: false })
    }

    /// The variable that has it lie elsewhere.
    pub(super) fn variable(&self) -> &'static str {
        self.place.as_ref().map_or("HF_HOME", |place| place::variable_for(&place.partial, config::env))
    }

    /// What is on disk and will be gone on with, bytes: a disk that was full took less than has come.
    fn kept(&self) -> u64 {
        let has_some = self.machine.can_resume() && self.machine.on_disk() > 0;
        let partial = self.place.as_ref().filter(|_| has_some).map(|place| &place.partial);
        partial.and_then(|partial| fs::metadata(partial).ok()).map_or(0, |data| data.len())
    }

    /// What an error says beside its reason.
    pub(super) fn facts(&self) -> failure::Facts<'_> {
        let folder = self.place.as_ref().and_then(|place| place.partial.parent());
        let digest = self.announced.as_ref().and_then(|announced| announced.digest);
        failure::Facts {
            file: self.file(),
            folder: folder.map(|folder| folder.display().to_string()).unwrap_or_default(),
            variable: self.variable(),
            size: self.machine.size(),
            kept: self.kept(),
            announced: digest.map(|digest| digest.to_string()).unwrap_or_default(),
            found: &self.found,
        }
    }

    // What an effect needs is there when it comes: the rules have seen to that.

    pub(super) fn known(&self) -> Result<&Announced> {
        self.announced.as_ref().ok_or_else(|| self.bug("nothing is known of it"))
    }

    pub(super) fn place(&self) -> Result<&Place> {
        self.place.as_ref().ok_or_else(|| self.bug("it has no place"))
    }

    /// The unfinished file, opened once more if its sum has been taken.
    pub(super) fn partial(&mut self) -> Result<&mut Partial> {
        if self.partial.is_none() {
            let (digest, size) = (self.known()?.digest, self.known()?.size);
            self.partial = Some(Partial::open(&self.place()?.partial, digest, size)?);
        }
        match &mut self.partial {
            Some(partial) => Ok(partial),
            None => Err(Error::new(Kind::Internal, "no file is open")),
        }
    }

    pub(super) fn bug(&self, what: &str) -> Error {
        Error::new(Kind::Internal, format!("pulling `{}`: {what}", self.file()))
    }
}
