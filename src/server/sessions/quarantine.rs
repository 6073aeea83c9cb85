//! Audio that kills engines, kept for a report of the bug.

use crate::{
    audio::wav,
    error::{Error, Kind, Result},
    listening::Gap,
    server::wal::{QUARANTINE, SessionId},
    speech::Samples,
};
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tokio::sync::oneshot;

/// Puts the audio of a gap into a file of the folder `quarantine`, which only its owner can read, and says in the gap
/// what it is called. Where that fails it is said in the log: the session goes on.
pub(super) async fn keep(folder: &Path, id: &SessionId, gap: &mut Gap) {
    let audio = std::mem::take(&mut gap.audio);
    if audio.is_empty() {
        return;
    }
    let folder = folder.join(QUARANTINE);
    let path = folder.join(format!("{id}-{}.wav", gap.start.0));
    let place = path.clone();
    let (done, written) = oneshot::channel();
    // A disk may be slow, and the runtime is not for waiting.
    let spawned = std::thread::Builder::new().name("quarantine".to_owned()).spawn(move || {
        done.send(write(&folder, &place, &audio)).unwrap_or_default();
    });
    let written = match spawned {
        Ok(_) => written.await.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the writer failed"))),
        Err(cause) => Err(Error::new(Kind::Internal, "the system gives no thread").because(cause)),
    };
    match written {
        Ok(()) => {
            let kept = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            gap.reason = format!("{}; the server keeps the audio as {kept}", gap.reason);
            tracing::error!(session = %id, file = %path.display(), reason = %gap.reason, "Audio that kills engines was put aside.");
        }
        Err(error) => tracing::error!(session = %id, %error, "Audio that kills engines could not be put aside."),
    }
}

fn write(folder: &Path, path: &PathBuf, audio: &[i16]) -> Result<()> {
    let failed = |cause| Error::new(Kind::Io, format!("cannot write `{}`", path.display())).because(cause);
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(&wav::from_samples(Samples::RATE, audio)).map_err(failed)
}
