//! Tokens that are good once: one at a time, in a file that only its owner can read. Whoever can read it may bring a
//! worker; the next worker finds the next token there.

use crate::error::{Error, Kind, Result};
use std::{
    collections::VecDeque,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Used tokens that are remembered, to tell late comers what is wrong with theirs.
const USED: usize = 64;

/// The tokens of one registration port.
#[derive(Debug)]
pub(super) struct Tokens {
    file: PathBuf,
    current: String,
    used: VecDeque<String>,
}

impl Tokens {
    /// Writes the first token into a file.
    ///
    /// # Errors
    /// `Io` where it cannot be written.
    pub(super) fn try_new(file: PathBuf) -> Result<Self> {
        let current = fresh(&file)?;
        Ok(Self { file, current, used: VecDeque::new() })
    }

    /// Uses a token up.
    ///
    /// # Errors
    /// `Unauthenticated` for one that is not good, or not any more; `Io` where the next one cannot be written.
    pub(super) fn redeem(&mut self, token: &str) -> Result<()> {
        if !is_same(token, &self.current) {
            let is_used = self.used.iter().any(|used| is_same(used, token));
            let message = match is_used {
                true => "the token was used already: each is good once; read the token file again",
                false => "the token is not one of this server; read the file that it was started with",
            };
            return Err(Error::new(Kind::Unauthenticated, message));
        }
        // Where the next one cannot be written, this one stays good: else nobody could ever come in again.
        let next = fresh(&self.file)?;
        if self.used.len() == USED {
            self.used.pop_front();
        }
        self.used.push_back(std::mem::replace(&mut self.current, next));
        Ok(())
    }
}

/// A fresh token, which is in the file.
fn fresh(file: &Path) -> Result<String> {
    let token = secret()?;
    write(file, &token).map_err(|cause| {
        let message = format!("cannot write the token file `{}`", file.display());
        Error::new(Kind::Io, message).because(cause)
    })?;
    Ok(token)
}

/// 128 random bits, as 32 hexadecimal digits.
///
/// # Errors
/// `Internal` where the system gives no randomness.
pub(super) fn secret() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(Kind::Internal, "the system gives no random numbers").because(cause))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Compares in a time that does not tell where the difference is.
fn is_same(a: &str, b: &str) -> bool {
    let difference = a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b));
    a.len() == b.len() && difference == 0
}

/// Puts a token in the place of the one before, in one step.
fn write(file: &Path, token: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its owner alone can read it, as tempfile makes files.
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(fresh, "{token}")?;
    fresh.persist(file).map_err(|error| error.error)?;
    fs::metadata(file).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_good_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let mut tokens = Tokens::try_new(file.clone()).expect("it can be written");
        let read = || fs::read_to_string(&file).expect("it is there").trim().to_owned();
        let first = read();
        assert_eq!(first.len(), 32);
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        tokens.redeem("guess").expect_err("a guess");
        tokens.redeem("").expect_err("nothing");
        tokens.redeem(&first).expect("the first time");
        let again = tokens.redeem(&first).expect_err("the second time");
        assert!(again.to_string().contains("used already"), "{again}");
        assert_ne!(read(), first);
        tokens.redeem(&read()).expect("the next one");
        // A file that cannot be written costs no token.
        let good = read();
        fs::remove_dir_all(folder.path()).expect("it goes");
        assert_eq!(tokens.redeem(&good).expect_err("nowhere to write").kind(), Kind::Io);
        fs::create_dir(folder.path()).expect("it is back");
        tokens.redeem(&good).expect("it is still good");
    }
}
