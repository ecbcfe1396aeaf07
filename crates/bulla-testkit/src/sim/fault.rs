//! What can go wrong at a call: every kind of error a system gives, once or for good, and writes that lie.

use std::io;

/// A call of the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Opening what is there, to read.
    OpenRead,
    /// Opening what is there, to write.
    OpenWrite,
    /// Creating a file.
    Create,
    /// Creating a directory.
    CreateDir,
    /// Listing a directory.
    List,
    /// Asking what a path leads to.
    Metadata,
    /// Renaming.
    Rename,
    /// Removing a file or directory.
    Remove,
    /// Syncing a directory.
    SyncDir,
    /// Taking the lock.
    Lock,
    /// Asking for free space.
    FreeSpace,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Asking for a length.
    Len,
    /// Cutting a file, or growing it.
    SetLen,
    /// Syncing a file.
    Sync,
    /// Dropping cached pages.
    DropCache,
}

impl Call {
    /// Whether it changes the disk, or what of it is durable.
    #[must_use]
    pub fn is_change(self) -> bool {
        use Call::{Create, CreateDir, Remove, Rename, SetLen, Sync, SyncDir, Write};
        matches!(self, Create | CreateDir | Rename | Remove | SyncDir | Write | SetLen | Sync)
    }
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harm {
    /// EIO; a sync drops what was pending (A3), and half of a write's bytes may be there.
    Io,
    /// ENOSPC where room is asked for.
    NoSpace,
    /// ENOSPC that only a sync reports, as with delayed allocation.
    NoSpaceAtSync,
    /// EDQUOT where room is asked for.
    Quota,
    /// EINTR. Never for good: who retries would do so for ever.
    Interrupted,
    /// EMFILE where a file is opened.
    TooManyFiles,
    /// EROFS where something is changed: the system gave the medium up.
    ReadOnly,
    /// A read that gives less than asked, at least one byte.
    ShortRead,
    /// A write that takes less than asked, at least one byte.
    ShortWrite,
    /// A write that says `Ok` and never arrives.
    LostWrite,
    /// A write that says `Ok` and lands elsewhere in the file.
    MisdirectedWrite,
}

impl Harm {
    /// Every kind that the caller is told of, or that it must put up with.
    pub const TOLD: [Self; 9] = [
        Self::Io,
        Self::NoSpace,
        Self::NoSpaceAtSync,
        Self::Quota,
        Self::Interrupted,
        Self::TooManyFiles,
        Self::ReadOnly,
        Self::ShortRead,
        Self::ShortWrite,
    ];

    /// Whether a call can go wrong like this.
    #[must_use]
    pub fn befalls(self, call: Call) -> bool {
        use Call::{Create, CreateDir, FreeSpace, List, Lock, OpenRead, OpenWrite, Read, Rename, Write};
        match self {
            Self::Io => call != FreeSpace,
            Self::NoSpace | Self::Quota => matches!(call, Create | CreateDir | Rename | Write | Lock),
            Self::NoSpaceAtSync => matches!(call, Call::Sync | Call::SyncDir),
            Self::Interrupted => matches!(call, Read | Write),
            // A directory is opened to be listed or synced.
            Self::TooManyFiles => matches!(call, OpenRead | OpenWrite | Create | Lock | List | Call::SyncDir),
            Self::ReadOnly => (call.is_change() && call != Call::Sync && call != Call::SyncDir) || call == OpenWrite,
            Self::ShortRead => call == Read,
            Self::ShortWrite | Self::LostWrite | Self::MisdirectedWrite => call == Write,
        }
    }

    /// Whether it may happen at every later call as well.
    #[must_use]
    pub fn may_be_for_good(self) -> bool {
        self != Self::Interrupted
    }

    /// The error it is told with; none for a call that does less, or lies.
    pub(super) fn error(self) -> Option<io::Error> {
        const EINTR: i32 = 4;
        const EIO: i32 = 5;
        const EMFILE: i32 = 24;
        const ENOSPC: i32 = 28;
        const EROFS: i32 = 30;
        const EDQUOT: i32 = 122;
        let code = match self {
            Self::Io => EIO,
            Self::NoSpace | Self::NoSpaceAtSync => ENOSPC,
            Self::Quota => EDQUOT,
            Self::Interrupted => EINTR,
            Self::TooManyFiles => EMFILE,
            Self::ReadOnly => EROFS,
            Self::ShortRead | Self::ShortWrite | Self::LostWrite | Self::MisdirectedWrite => return None,
        };
        Some(io::Error::from_raw_os_error(code))
    }
}

/// When a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The number of the call, counted from 0 over all calls; if the harm cannot befall that one, the next it can.
    pub at: u64,
    /// How.
    pub harm: Harm,
    /// Whether every later call it can befall goes wrong too.
    pub for_good: bool,
}
