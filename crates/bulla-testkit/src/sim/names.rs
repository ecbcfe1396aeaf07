//! Directories and inodes of the simulated disk.
//!
//! # Invariants
//!
//! - D1. A name is durable once its directory was synced; of the changes since, each may reach the disk or not.
//! - D2. Handles stay with the inode they opened.

use super::file::SimFile;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

pub(super) type Inode = usize;

pub(super) const ROOT: Inode = 0;

/// A name set to an inode, or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameChange {
    pub(super) name: OsString,
    pub(super) to: Option<Inode>,
}

/// A directory.
#[derive(Clone, Debug, Default)]
pub(super) struct SimDir {
    pub(super) current: BTreeMap<OsString, Inode>,
    pub(super) durable: BTreeMap<OsString, Inode>,
    pub(super) pending: Vec<NameChange>,
}

impl SimDir {
    fn set(&mut self, name: &OsStr, to: Option<Inode>) {
        match to {
            Some(inode) => self.current.insert(name.to_owned(), inode),
            None => self.current.remove(name),
        };
        self.pending.push(NameChange { name: name.to_owned(), to });
    }
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(SimFile),
    Dir(SimDir),
}

/// Every inode there ever was; none is given twice.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Dir(SimDir::default())] }
    }

    pub(super) fn add(&mut self, node: Node) -> Inode {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn dir(&self, inode: Inode) -> io::Result<&SimDir> {
        match &self.nodes[inode] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn dir_mut(&mut self, inode: Inode) -> io::Result<&mut SimDir> {
        match &mut self.nodes[inode] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, inode: Inode) -> io::Result<&SimFile> {
        match &self.nodes[inode] {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> io::Result<&mut SimFile> {
        match &mut self.nodes[inode] {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
        self.find_parts(&parts(path))
    }

    fn find_parts(&self, parts: &[&OsStr]) -> io::Result<Inode> {
        let mut inode = ROOT;
        for part in parts {
            inode = *self.dir(inode)?.current.get(*part).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    fn place<'a>(&self, path: &'a Path) -> io::Result<(Inode, &'a OsStr)> {
        let parts = parts(path);
        let (name, parents) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.find_parts(parents)?;
        self.dir(parent)?;
        Ok((parent, name))
    }

    pub(super) fn create(&mut self, path: &Path, node: Node) -> io::Result<Inode> {
        let (parent, name) = self.place(path)?;
        if self.dir(parent)?.current.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.add(node);
        self.dir_mut(parent)?.set(name, Some(inode));
        Ok(inode)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let moved = self.find(from)?;
        let (from_parent, from_name) = self.place(from)?;
        let (to_parent, to_name) = self.place(to)?;
        if (from_parent, from_name) == (to_parent, to_name) {
            return Ok(());
        }
        if let Some(&replaced) = self.dir(to_parent)?.current.get(to_name) {
            match (&self.nodes[moved], &self.nodes[replaced]) {
                (Node::Dir(_), Node::Dir(dir)) if !dir.current.is_empty() => {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                (Node::Dir(_), Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                (Node::File(_), Node::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
                _ => {}
            }
        }
        // Two changes, lost independently: a crash may leave both names, or neither.
        self.dir_mut(to_parent)?.set(to_name, Some(moved));
        self.dir_mut(from_parent)?.set(from_name, None);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path, is_dir: bool) -> io::Result<()> {
        let inode = self.find(path)?;
        match (&self.nodes[inode], is_dir) {
            (Node::Dir(dir), true) if !dir.current.is_empty() => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            (Node::Dir(_), true) | (Node::File(_), false) => {}
            (Node::Dir(_), false) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::File(_), true) => return Err(io::ErrorKind::NotADirectory.into()),
        }
        let (parent, name) = self.place(path)?;
        self.dir_mut(parent)?.set(name, None);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        let dir = self.dir_mut(inode)?;
        dir.durable = dir.current.clone();
        dir.pending.clear();
        Ok(())
    }

    /// Bytes of every file that a current name leads to.
    pub(super) fn used(&self) -> u64 {
        let (mut used, mut todo) = (0, vec![ROOT]);
        while let Some(inode) = todo.pop() {
            match &self.nodes[inode] {
                Node::File(file) => used += file.current.len() as u64,
                Node::Dir(dir) => todo.extend(dir.current.values()),
            }
        }
        used
    }
}

/// The names along a path from the root, as `MemVfs` takes them.
fn parts(path: &Path) -> Vec<&OsStr> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    parts
}
