//! What this machine can do: places to write, file systems to mount, tools to call.

use crate::world::while_doing;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Where a harness writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where temporary files go.
    Disk,
    /// Where syncs cost nothing, if there is such a place.
    Memory,
}

const MEMORY: &str = "/dev/shm";

/// A directory that goes with its handle (K3).
pub(crate) fn temporary_dir(place: Place) -> Result<TempDir, String> {
    let home = match place {
        Place::Memory if Path::new(MEMORY).is_dir() => PathBuf::from(MEMORY),
        _ => std::env::temp_dir(),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix("bulla-torture-");
    builder.tempdir_in(home).map_err(while_doing("making a temporary directory"))
}

/// Whether a program of that name can be started.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs a program to its end; what it said on standard error is the failure.
pub(crate) fn call<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<(), String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.lines().next().unwrap_or_default()))
}

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tmpfs,
    Ext4,
    Xfs,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// A small file system of its own, which goes with its handle (K3).
pub(crate) struct Mount {
    kind: Kind,
    mebibytes: u64,
    home: TempDir,
    is_mounted: bool,
}

impl Mount {
    /// Makes and mounts one, or says why that cannot be done here.
    pub(crate) fn make(kind: Kind, mebibytes: u64) -> Result<Self, String> {
        let home = temporary_dir(Place::Memory)?;
        let mut mount = Self { kind, mebibytes, home, is_mounted: false };
        fs::create_dir(mount.dir()).map_err(while_doing("making a mount point"))?;
        if kind != Kind::Tmpfs {
            let image = fs::File::create_new(mount.image()).map_err(while_doing("making an image"))?;
            image.set_len(mebibytes << 20).map_err(while_doing("making an image"))?;
            drop(image);
            let image = mount.image().into_os_string();
            match kind {
                // Nothing is kept back for the administrator, who runs this.
                Kind::Ext4 => call("mkfs.ext4", &["-q".into(), "-m".into(), "0".into(), image])?,
                _ => call("mkfs.xfs", &["-q".into(), image])?,
            }
        }
        mount.mount()?;
        Ok(mount)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    fn image(&self) -> PathBuf {
        self.home.path().join("image")
    }

    pub(crate) fn mount(&mut self) -> Result<(), String> {
        let dir = self.dir().into_os_string();
        let (option, what): (OsString, OsString) = match self.kind {
            Kind::Tmpfs => (format!("size={}m", self.mebibytes).into(), "tmpfs".into()),
            Kind::Ext4 | Kind::Xfs => ("loop".into(), self.image().into()),
        };
        call("mount", &["-t".into(), self.kind.name().into(), "-o".into(), option, what, dir])?;
        self.is_mounted = true;
        Ok(())
    }

    pub(crate) fn unmount(&mut self) -> Result<(), String> {
        call("umount", &[self.dir()])?;
        self.is_mounted = false;
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, so that what is still open in it does not leave it behind.
        if self.is_mounted && call("umount", &["-l".into(), self.dir().into_os_string()]).is_err() {
            eprintln!("could not unmount {}", self.dir().display());
        }
    }
}
