//! One file that grows at its end, and is cut back where growing failed.

use super::{
    budget::{Account, Purpose},
    record::{HEAD, LONGEST, MAGIC},
    store::{LogFile, Store, failed},
};
use crate::error::{Error, Result};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that is appended to.
pub(super) struct Writer {
    file: Arc<dyn LogFile>,
    path: PathBuf,
    /// All of it up to here is good.
    length: u64,
    /// Behind that there may be so much of an append that failed.
    surplus: u64,
    /// At which change of the log it changed last.
    changed: u64,
}

impl Writer {
    /// Makes a file. It is empty: what says what it is comes with the first record.
    pub(super) fn create(store: &dyn Store, path: PathBuf) -> Result<Self> {
        let file = store.create(&path).map_err(|cause| failed("make", &path, &cause))?;
        Ok(Self { file, path, length: 0, surplus: 0, changed: 0 })
    }

    /// Goes on with a file that was read. It is good up to `length`; what is behind that is cut off.
    pub(super) fn reopen(store: &dyn Store, path: PathBuf, length: u64, surplus: u64, change: u64) -> Result<Self> {
        let file = store.open(&path).map_err(|cause| failed("open", &path, &cause))?;
        let mut writer = Self { file, path, length, surplus, changed: change };
        if surplus > 0 {
            writer.file.truncate(length).map_err(|cause| failed("repair", &writer.path, &cause))?;
            writer.surplus = 0;
        }
        Ok(writer)
    }

    /// Appends a record, as the change of this number. After an error the record is there as a whole or not at all.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `InvalidInput` for a record that is too long, `Io`.
    pub(super) fn append(&mut self, record: &[u8], account: &mut Account, purpose: Purpose, change: u64) -> Result<()> {
        let length = record.len().saturating_sub(HEAD);
        if length > LONGEST {
            return Err(Error::invalid(format!(
                "{length} bytes at once are too many for a log; {LONGEST} are allowed"
            )));
        }
        self.append_all(record, account, purpose, change)
    }

    /// Appends several records at once, however long they are together.
    ///
    /// # Errors
    /// `Busy` where a limit would be exceeded, `Io`.
    pub(super) fn append_all(
        &mut self,
        records: &[u8],
        account: &mut Account,
        purpose: Purpose,
        change: u64,
    ) -> Result<()> {
        self.cut(account, change)?;
        let head: &[u8] = if self.length == 0 { &MAGIC } else { &[] };
        let bytes = [head, records].concat();
        account.charge(bytes.len() as u64, purpose)?;
        self.changed = change;
        match self.file.append(&bytes) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(cause) => {
                self.surplus = bytes.len() as u64;
                // Where this fails as well, it is tried again before the next append.
                drop(self.cut(account, change));
                Err(failed("write", &self.path, &cause))
            }
        }
    }

    /// Cuts off what is left of an append that failed.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn cut(&mut self, account: &mut Account, change: u64) -> Result<()> {
        if self.surplus > 0 {
            self.file.truncate(self.length).map_err(|cause| failed("repair", &self.path, &cause))?;
            self.changed = change;
            account.refund(std::mem::take(&mut self.surplus));
        }
        Ok(())
    }

    /// Waits until all of it is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Takes note of another name.
    pub(super) fn renamed(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// At which change of the log it changed last.
    pub(super) fn changed(&self) -> u64 {
        self.changed
    }

    /// How much is good.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// How much it takes on the disk, at most.
    pub(super) fn takes(&self) -> u64 {
        self.length + self.surplus
    }

    /// What the file is called.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for another thread to sync.
    pub(super) fn file(&self) -> Arc<dyn LogFile> {
        Arc::clone(&self.file)
    }
}
