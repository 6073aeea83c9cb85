//! Why a file was not pulled, in a sentence that names the file and the way out.

use super::steps::Failure;
use crate::{
    error::{Error, Kind},
    size,
};

/// What is known of a file that was not pulled.
pub(super) struct Facts<'a> {
    /// Its name, without a path.
    pub(super) file: &'a str,
    /// The folder that it was to be in.
    pub(super) folder: String,
    /// The variable that has it elsewhere.
    pub(super) variable: &'static str,
    pub(super) size: Option<u64>,
    /// Bytes that have come, and stay.
    pub(super) kept: u64,
    /// The digest that was announced, and that of what came.
    pub(super) announced: String,
    pub(super) found: &'a str,
}

/// The sentence.
pub(super) fn error(failure: Failure, facts: &Facts<'_>) -> Error {
    let file = facts.file;
    match failure {
        // A disk that is full, say.
        Failure::Local(error) if error.kind() == Kind::Io => kept(error, facts),
        Failure::Local(error) => error,
        Failure::Origin(error) => kept(error, facts),
        Failure::TooLong(error, after) => {
            let busy = Error::new(Kind::Busy, error.to_string()).with_details(error.details().clone());
            kept(busy.retry_after(after), facts)
        }
        Failure::NoRoom { wants, has } => {
            no_room(&format!("`{file}` needs"), wants, &facts.folder, has, facts.variable)
        }
        Failure::WrongSize { found } => {
            let size = facts.size.map_or_else(|| "as long as announced".to_owned(), |size| format!("{size} bytes"));
            let message = format!("`{file}` is not {size}, which the server announced, but {found}; try again later");
            Error::new(Kind::DataLoss, message)
        }
        Failure::WrongDigest => {
            let (found, announced) = (facts.found, &facts.announced);
            let message = format!("`{file}` is not what the hub announced: {found}, not {announced}; nothing was kept");
            Error::new(Kind::DataLoss, message)
        }
        Failure::NotWhatItWas => not_what_it_was(file),
        Failure::Odd => {
            let message = format!("the server answers with another part of `{file}` than it is asked for");
            kept(Error::new(Kind::Unavailable, message), facts)
        }
        Failure::Bug => Error::new(Kind::Internal, format!("pulling `{file}` lost its way")),
    }
}

/// What does not fit into a folder.
pub(super) fn no_room(who_needs: &str, wants: u64, folder: &str, has: u64, variable: &str) -> Error {
    let (wants, has) = (size::in_words(wants), size::in_words(has));
    let way = format!("free some, or set {variable} to a folder elsewhere");
    Error::new(Kind::Io, format!("{who_needs} {wants}, `{folder}` has {has}; {way}"))
}

/// Something else comes under the same name than did the first time.
pub(super) fn not_what_it_was(file: &str) -> Error {
    let way = "look why, then `--force` takes what there is now";
    Error::new(Kind::DataLoss, format!("`{file}` is not what it was when it was first pulled; {way}"))
}

/// Says that nothing need come twice, where something has come.
fn kept(error: Error, facts: &Facts<'_>) -> Error {
    if facts.kept == 0 {
        return error;
    }
    let of = facts.size.map(|size| format!(" of {}", size::in_words(size))).unwrap_or_default();
    let message = format!("{error}; what has come ({}{of}) is kept, run it again", size::in_words(facts.kept));
    Error::new(error.kind(), message).with_details(error.details().clone())
}
