//! Digests of model files: what the hub says that a file is, and what it turns out to be.
//!
//! The hub names a large file by its SHA-256 and a small one by what git calls it: the SHA-1 of "blob SIZE\0" and the
//! file. Whatever the hub gives, the SHA-256 is made too, since that is what is pinned.

use super::files::unreadable;
use crate::error::Result;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use std::{fmt, fs::File, io::ErrorKind, io::Read, path::Path};

/// How much of a file is read at once, bytes.
const PIECE: usize = 256 * 1024;

/// What a file must be, by the hub's ETag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Digest {
    /// Of a large file (LFS, xet).
    Sha256([u8; 32]),
    /// Of a file that git keeps itself.
    GitSha1([u8; 20]),
}

impl Digest {
    /// Reads 64 or 40 lower-case hex digits; `None` for anything else, since a digest becomes a file's name.
    pub(crate) fn parse(hex: &str) -> Option<Self> {
        let bytes = bytes(hex)?;
        match bytes.len() {
            32 => bytes.try_into().map(Self::Sha256).ok(),
            20 => bytes.try_into().map(Self::GitSha1).ok(),
            _ => None,
        }
    }
}

/// Lower-case hex.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Sha256(bytes) => hex(bytes),
            Self::GitSha1(bytes) => hex(bytes),
        })
    }
}

/// Sums that are made while bytes come.
pub(crate) struct Sums {
    sha256: Context,
    git: Option<Context>,
    expected: Option<Digest>,
}

impl Sums {
    /// Of a file of `size` bytes, where that is known: git's sum begins with it, so without it a git digest that is
    /// expected is never found right.
    pub(crate) fn new(expected: Option<Digest>, size: Option<u64>) -> Self {
        let git = match (expected, size) {
            (Some(Digest::GitSha1(_)), Some(size)) => {
                let mut git = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                git.update(format!("blob {size}\0").as_bytes());
                Some(git)
            }
            _ => None,
        };
        Self { sha256: Context::new(&SHA256), git, expected }
    }

    /// The next bytes of the file.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
    }

    /// That was the file.
    pub(crate) fn end(self) -> Ended {
        let sha256 = hex(self.sha256.finish().as_ref());
        let found = self.git.map_or_else(|| sha256.clone(), |git| hex(git.finish().as_ref()));
        let is_right = self.expected.map(|expected| expected.to_string() == found);
        Ended { sha256, is_right, found }
    }
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its SHA-256, lower-case hex.
    pub(crate) sha256: String,
    /// Whether it is what was expected; `None` = nothing was.
    pub(crate) is_right: Option<bool>,
    /// What it is, in the expected kind.
    pub(crate) found: String,
}

/// What a file is. `each` is told the bytes read so far, and may end it.
///
/// # Errors
/// `NotFound` for no such file, `Io` for one that cannot be read; that of `each`.
pub(crate) fn of_file(path: &Path, expected: Option<Digest>, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<Ended> {
    let failed = |cause| unreadable(path, cause);
    // Opening a pipe would wait for who writes to it.
    let size = std::fs::metadata(path).and_then(|metadata| match metadata.is_file() {
        true => Ok(metadata.len()),
        false => Err(std::io::Error::other("it is no file")),
    });
    let size = size.map_err(failed)?;
    let mut file = File::open(path).map_err(failed)?;
    let mut sums = Sums::new(expected, Some(size));
    let (mut piece, mut read) = (vec![0; PIECE], 0_u64);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(sums.end()),
            Ok(count) => {
                sums.add(piece.get(..count).unwrap_or_default());
                read += u64::try_from(count).unwrap_or_default();
                each(read)?;
            }
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(failed(cause)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
    rest.is_empty().then(|| bytes.collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use proptest::prelude::*;
    use std::io::Write;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    /// What `git hash-object` says of "hello\n".
    const HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn sums_of(text: &[u8], expected: Option<Digest>, size: Option<u64>) -> Ended {
        let mut sums = Sums::new(expected, size);
        text.chunks(2).for_each(|piece| sums.add(piece));
        sums.end()
    }

    #[test]
    fn a_file_is_known_by_its_sha_256() {
        let ended = sums_of(b"abc", None, None);
        assert_eq!((ended.sha256.as_str(), ended.is_right, ended.found.as_str()), (ABC, None, ABC));
        assert_eq!(sums_of(b"abc", Digest::parse(ABC), Some(3)).is_right, Some(true));
        assert_eq!(sums_of(b"abd", Digest::parse(ABC), Some(3)).is_right, Some(false));
    }

    #[test]
    fn a_small_file_is_known_by_what_git_calls_it() {
        let ended = sums_of(b"hello\n", Digest::parse(HELLO), Some(6));
        assert_eq!((ended.is_right, ended.found.as_str()), (Some(true), HELLO));
        assert_eq!(ended.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        assert_eq!(sums_of(b"hello\n", Digest::parse(HELLO), Some(7)).is_right, Some(false));
        assert_eq!(sums_of(b"hello\n", Digest::parse(HELLO), None).is_right, Some(false));
    }

    #[test]
    fn a_digest_is_lower_case_hex_of_one_of_two_lengths() {
        for hex in [ABC, HELLO] {
            assert_eq!(Digest::parse(hex).map(|digest| digest.to_string()).as_deref(), Some(hex));
            assert_eq!(Digest::parse(&hex.to_uppercase()), None);
            assert_eq!(Digest::parse(hex.split_at(1).1), None);
            assert_eq!(Digest::parse(hex.split_at(2).1), None);
            assert_eq!(Digest::parse(&format!("{hex}0")), None);
        }
        for no in ["", "../..", "+f", "é", &"g".repeat(64), &"0".repeat(39), &"é".repeat(20)] {
            assert_eq!(Digest::parse(no), None, "{no}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_end_or_until_told_to_stop() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; PIECE + 1]).unwrap();
        let mut told = Vec::new();
        let ended = of_file(file.path(), None, &mut |read| {
            told.push(read);
            Ok(())
        });
        assert_eq!(told.last(), Some(&(PIECE as u64 + 1)));
        assert_eq!(ended.unwrap(), sums_of(&vec![7; PIECE + 1], None, None));
        let stopped = of_file(file.path(), None, &mut |_| Err(Error::new(Kind::Cancelled, "stop")));
        assert_eq!(stopped.unwrap_err().kind(), Kind::Cancelled);
    }

    #[test]
    fn what_is_no_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |path: &Path| of_file(path, None, &mut |_| Ok(())).unwrap_err().kind();
        assert_eq!((kind(folder.path()), kind(&folder.path().join("none"))), (Kind::Io, Kind::NotFound));
    }

    proptest! {
        #[test]
        fn every_digest_reads_back_as_it_is_written(large: [u8; 32], small: [u8; 20], text in ".{0,70}") {
            for digest in [Digest::Sha256(large), Digest::GitSha1(small)] {
                prop_assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
            }
            if let Some(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
