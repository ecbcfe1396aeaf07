//! The tree of a disk in memory: files and directories by number, each directory with its current and its durable names.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

use super::MemOperations;
use super::file::FileNode;

/// Number of a file or directory; never given twice.
pub(super) type Inode = u64;

const ROOT: Inode = 0;

pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Default)]
pub(super) struct DirNode {
    pub(super) names: BTreeMap<OsString, Inode>,
    durable: BTreeMap<OsString, Inode>,
}

/// Everything on a disk in memory. Every inode named by a directory, now or durably, or held by a handle, is in `nodes`.
pub(super) struct Disk {
    nodes: BTreeMap<Inode, Node>,
    next: Inode,
    /// The files that are locked.
    pub(super) locked: BTreeSet<Inode>,
    /// How many bytes all files together may have.
    pub(super) capacity: Option<u64>,
    pub(super) operations: MemOperations,
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk {
            nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            next: ROOT + 1,
            locked: BTreeSet::new(),
            capacity: None,
            operations: MemOperations::default(),
        }
    }

    /// What a crash leaves, as a disk of its own. A file with two durable names, after a rename of which only one
    /// directory was synced, becomes two files; a directory stays one, or a directory moved below itself had no end.
    pub(super) fn after_crash(&self) -> Disk {
        let mut disk = Disk { capacity: self.capacity, ..Disk::new() };
        let mut seen = BTreeSet::from([ROOT]);
        let mut todo = vec![(ROOT, ROOT)];
        while let Some((old, new)) = todo.pop() {
            let Node::Dir(dir) = self.node(old) else { continue };
            let mut names = BTreeMap::new();
            for (name, &inode) in &dir.durable {
                match self.node(inode) {
                    Node::File(file) => {
                        names.insert(name.clone(), disk.add(Node::File(file.after_crash())));
                    }
                    Node::Dir(_) if seen.insert(inode) => {
                        let copy = disk.add(Node::Dir(DirNode::default()));
                        names.insert(name.clone(), copy);
                        todo.push((inode, copy));
                    }
                    Node::Dir(_) => {}
                }
            }
            *disk.node_mut(new) = Node::Dir(DirNode { durable: names.clone(), names });
        }
        disk
    }

    pub(super) fn add(&mut self, node: Node) -> Inode {
        let inode = self.next;
        self.next += 1;
        self.nodes.insert(inode, node);
        inode
    }

    pub(super) fn node(&self, inode: Inode) -> &Node {
        self.nodes.get(&inode).expect("BUG: a name or handle outlived its inode")
    }

    fn node_mut(&mut self, inode: Inode) -> &mut Node {
        self.nodes.get_mut(&inode).expect("BUG: a name or handle outlived its inode")
    }

    pub(super) fn dir(&self, inode: Inode) -> io::Result<&DirNode> {
        match self.node(inode) {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn dir_mut(&mut self, inode: Inode) -> io::Result<&mut DirNode> {
        match self.node_mut(inode) {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, inode: Inode) -> io::Result<&FileNode> {
        match self.node(inode) {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> io::Result<&mut FileNode> {
        match self.node_mut(inode) {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// What a path leads to now.
    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
        self.find_parts(&parts(path))
    }

    fn find_parts(&self, parts: &[&OsStr]) -> io::Result<Inode> {
        let mut inode = ROOT;
        for part in parts {
            inode = *self.dir(inode)?.names.get(*part).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    /// The directory a path lies in, and the name in it. The root lies in none.
    pub(super) fn place<'a>(&self, path: &'a Path) -> io::Result<(Inode, &'a OsStr)> {
        let parts = parts(path);
        let (name, parents) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.find_parts(parents)?;
        self.dir(parent)?;
        Ok((parent, name))
    }

    /// Makes a new, empty file at a path whose name must be free.
    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<Inode> {
        self.create(path, Node::File(FileNode::linked()))
    }

    /// Puts a node at a path whose name must be free.
    pub(super) fn create(&mut self, path: &Path, node: Node) -> io::Result<Inode> {
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (parent, name) = self.place(path)?;
        let inode = self.add(node);
        self.dir_mut(parent)?.names.insert(name.to_owned(), inode);
        Ok(inode)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let moved = self.find(from)?;
        let (from_parts, to_parts) = (parts(from), parts(to));
        if from_parts == to_parts {
            return Ok(());
        }
        let (from_parent, from_name) = self.place(from)?;
        let (to_parent, to_name) = self.place(to)?;
        let is_dir = matches!(self.node(moved), Node::Dir(_));
        if is_dir && to_parts.starts_with(&from_parts) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let Some(&replaced) = self.dir(to_parent)?.names.get(to_name) {
            if is_dir {
                self.check_empty(replaced)?;
            } else {
                self.file_mut(replaced)?.is_linked = false;
            }
        }
        self.dir_mut(from_parent)?.names.remove(from_name);
        self.dir_mut(to_parent)?.names.insert(to_name.to_owned(), moved);
        self.sweep();
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        self.file_mut(inode)?.is_linked = false;
        self.unlink(path)
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        self.check_empty(self.find(path)?)?;
        self.unlink(path)
    }

    fn check_empty(&self, dir: Inode) -> io::Result<()> {
        if self.dir(dir)?.names.is_empty() { Ok(()) } else { Err(io::ErrorKind::DirectoryNotEmpty.into()) }
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        self.dir_mut(parent)?.names.remove(name);
        self.sweep();
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        let dir = self.dir_mut(inode)?;
        dir.durable = dir.names.clone();
        self.sweep();
        Ok(())
    }

    /// Makes the names along a path durable, and no others.
    pub(super) fn sync_path(&mut self, path: &Path) -> io::Result<()> {
        let mut inode = ROOT;
        for part in parts(path) {
            let dir = self.dir_mut(inode)?;
            inode = *dir.names.get(part).ok_or(io::ErrorKind::NotFound)?;
            dir.durable.insert(part.to_owned(), inode);
        }
        self.sweep();
        Ok(())
    }

    pub(super) fn acquire(&mut self, inode: Inode) -> io::Result<()> {
        self.file_mut(inode)?.handle_count += 1;
        Ok(())
    }

    /// Gives back what `acquire` took; the last handle of a file without a name ends the file.
    pub(super) fn release(&mut self, inode: Inode) {
        if let Ok(file) = self.file_mut(inode) {
            file.handle_count -= 1;
            if file.handle_count == 0 && !file.is_linked {
                self.sweep();
            }
        }
    }

    /// How many bytes files may still grow by. A file that has neither name nor handle takes no room.
    pub(super) fn room(&self) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let used = self.nodes.values().map(|node| match node {
            Node::File(file) if file.is_linked || file.handle_count > 0 => file.len(),
            Node::File(_) | Node::Dir(_) => 0,
        });
        capacity.saturating_sub(used.sum())
    }

    /// Drops what no name, current or durable, and no handle leads to.
    fn sweep(&mut self) {
        let (mut live, mut todo) = (BTreeSet::new(), vec![ROOT]);
        while let Some(inode) = todo.pop() {
            if let (true, Node::Dir(dir)) = (live.insert(inode), self.node(inode)) {
                todo.extend(dir.names.values().chain(dir.durable.values()));
            }
        }
        self.nodes
            .retain(|inode, node| live.contains(inode) || matches!(node, Node::File(file) if file.handle_count > 0));
    }

    /// How many files and directories there are, those included that only a handle or a durable name keeps.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }
}

/// The names along a path from the root. Absolute and relative paths are the same; `..` takes back a name as text.
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
