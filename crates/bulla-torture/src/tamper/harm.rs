//! The cases: what is done to the files of a store, one thing at a time.

use super::store::{Files, Truth};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the disk was made of in the beginning, and what is zeroed, moved or doubled as one.
const BLOCK: usize = 512;

/// One thing that was done.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// How it is found again.
    pub(super) name: String,
    pub(super) group: Group,
    pub(super) files: Files,
    pub(super) touched: Vec<Touched>,
}

/// Where something was done.
#[derive(Clone, Debug)]
pub(super) struct Touched {
    pub(super) path: PathBuf,
    /// Which bytes of the file as it was; all of them for a file that went or came.
    pub(super) bytes: Range<usize>,
}

/// Kinds of cases, each of which is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Flip,
    Set,
    Block,
    Cut,
    Extension,
    File,
    Older,
    /// Bytes changed with the checksums over them put right.
    Mended,
    /// Structures changed so that they agree with each other and not with the records.
    Forged,
}

impl Group {
    pub(super) const ALL: [Self; 9] = [
        Self::Flip,
        Self::Set,
        Self::Block,
        Self::Cut,
        Self::Extension,
        Self::File,
        Self::Older,
        Self::Mended,
        Self::Forged,
    ];

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Flip => "bits flipped, each of every byte",
            Self::Set => "bytes set to 0x00 and 0xff",
            Self::Block => "blocks of 512 bytes zeroed, swapped, duplicated",
            Self::Cut => "files cut, to every length",
            Self::Extension => "files made longer",
            Self::File => "files and directories deleted, renamed, swapped",
            Self::Older => "files, tables, the journal put back to earlier moments",
            Self::Mended => "bytes changed and their checksums put right",
            Self::Forged => "structures forged to agree with each other",
        }
    }

    /// Whether it takes somebody who means it; no accident makes checksums right or moves whole files.
    pub(super) fn is_meant(self) -> bool {
        matches!(self, Self::File | Self::Older | Self::Mended | Self::Forged)
    }
}

impl Case {
    /// A case that changes one file.
    pub(super) fn edit(
        truth: &Truth,
        group: Group,
        name: &str,
        path: &Path,
        touched: Range<usize>,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let mut files = truth.files.clone();
        let file = files.get_mut(path).expect("BUG: an edit of a file that is not there");
        let mut bytes = file.to_vec();
        change(&mut bytes);
        *file = Arc::new(bytes);
        let name = format!("{name}@{}", path.display());
        Self { name, group, files, touched: vec![Touched { path: path.to_owned(), bytes: touched }] }
    }

    /// A case that leaves other files.
    pub(super) fn replaced(truth: &Truth, group: Group, name: String, files: Files) -> Self {
        let paths: std::collections::BTreeSet<_> = truth.files.keys().chain(files.keys()).collect();
        let touched = paths
            .into_iter()
            .filter(|path| truth.files.get(*path) != files.get(*path))
            .map(|path| Touched { path: path.clone(), bytes: 0..truth.files.get(path).map_or(0, |bytes| bytes.len()) })
            .collect();
        Self { name, group, files, touched }
    }
}

/// Every case without right checksums.
pub(super) fn accidents(truth: &Truth) -> impl Iterator<Item = Case> + '_ {
    let bytes = truth.files.iter().flat_map(move |(path, bytes)| {
        (0..bytes.len()).flat_map(move |offset| {
            let flips = (0..8_u32).map(move |bit| (Group::Flip, format!("flip:{offset}:{bit}"), 1_u8 << bit));
            let sets = [0x00_u8, 0xff]
                .into_iter()
                .map(move |value| (Group::Set, format!("set:{offset}:{value}"), bytes[offset] ^ value));
            flips.chain(sets).filter(|(_, _, mask)| *mask != 0).map(move |(group, name, mask)| {
                Case::edit(truth, group, &name, path, offset..offset + 1, |bytes| bytes[offset] ^= mask)
            })
        })
    });
    bytes.chain(blocks(truth)).chain(lengths(truth)).chain(files(truth)).chain(older(truth))
}

fn blocks(truth: &Truth) -> impl Iterator<Item = Case> + '_ {
    let all: Vec<(&PathBuf, Range<usize>)> = truth
        .files
        .iter()
        .flat_map(|(path, bytes)| {
            (0..bytes.len()).step_by(BLOCK).map(move |at| (path, at..bytes.len().min(at + BLOCK)))
        })
        .collect();
    let zeroed = all.clone().into_iter().map(move |(path, block)| {
        let name = format!("zero:{}", block.start);
        Case::edit(truth, Group::Block, &name, path, block.clone(), |bytes| bytes[block].fill(0))
    });
    let doubled = all.clone().into_iter().flat_map(move |(path, block)| {
        let len = truth.files[path].len();
        // Put in right behind itself, at the end, and over the block that follows.
        let places = [block.end, len];
        let inserted = places.into_iter().map({
            let block = block.clone();
            move |place| {
                let (name, copied) = (format!("double:{}:{place}", block.start), block.clone());
                Case::edit(truth, Group::Block, &name, path, place..len, move |bytes| {
                    let copy = bytes[copied].to_vec();
                    bytes.splice(place..place, copy);
                })
            }
        });
        let over = block.end..len.min(block.end + block.len());
        let overwritten = (!over.is_empty()).then(|| {
            let (name, copied, place) = (format!("over:{}", block.start), block.clone(), over.start);
            Case::edit(truth, Group::Block, &name, path, over.clone(), move |bytes| {
                bytes.copy_within(copied.start..copied.start + over.len(), place);
            })
        });
        inserted.chain(overwritten)
    });
    let count = all.len();
    let pairs = (0..count).flat_map(move |one| (one + 1..count).map(move |other| (one, other)));
    let swapped = pairs.filter_map(move |(one, other)| {
        let ((path, block), (other_path, other_block)) = (all[one].clone(), all[other].clone());
        let mut files = truth.files.clone();
        let (here, there) = (files[path][block.clone()].to_vec(), files[other_path][other_block.clone()].to_vec());
        if here == there {
            return None;
        }
        // Two blocks of different length change the lengths of their files, the later one first.
        for (path, block, new) in [(other_path, other_block.clone(), here), (path, block.clone(), there)] {
            let mut bytes = files[path].to_vec();
            bytes.splice(block, new);
            files.insert(path.clone(), Arc::new(bytes));
        }
        let name = format!("swap:{}@{}:{}@{}", block.start, path.display(), other_block.start, other_path.display());
        let touched = [(path, block), (other_path, other_block)]
            .map(|(path, bytes)| Touched { path: path.clone(), bytes })
            .into_iter()
            .collect();
        Some(Case { name, group: Group::Block, files, touched })
    });
    zeroed.chain(doubled).chain(swapped)
}

fn lengths(truth: &Truth) -> impl Iterator<Item = Case> + '_ {
    let cuts = truth.files.iter().flat_map(move |(path, bytes)| {
        (0..bytes.len()).map(move |len| {
            Case::edit(truth, Group::Cut, &format!("cut:{len}"), path, len..bytes.len(), |bytes| bytes.truncate(len))
        })
    });
    let longer = truth.files.iter().flat_map(move |(path, bytes)| {
        let end = bytes.len();
        [1, 7, 8, 63, 64, 65, 511, 512, 4096].into_iter().flat_map(move |more: usize| {
            [0x00, 0xff, b'F'].into_iter().map(move |value: u8| {
                let name = format!("extend:{more}:{value}");
                Case::edit(truth, Group::Extension, &name, path, end..end, |bytes| bytes.resize(end + more, value))
            })
        })
    });
    cuts.chain(longer)
}

/// Whole files, and directories, come, go and change places.
fn files(truth: &Truth) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name: String, files: Files| {
        if files != truth.files {
            cases.push(Case::replaced(truth, Group::File, name, files));
        }
    };
    let paths: Vec<_> = truth.files.keys().collect();
    for path in &paths {
        let mut files = truth.files.clone();
        let bytes = files.remove(*path).expect("BUG: a path of these files");
        case(format!("delete@{}", path.display()), files.clone());
        for name in [
            "00000000000000000000.seg",
            "00000000000000000001.seg",
            "00000000000000000099.seg",
            "99999999999999999999.seg",
            "x.bak",
            "next.tmp",
            "LOCK",
        ] {
            let to = path.with_file_name(name);
            let mut renamed = files.clone();
            renamed.insert(to, Arc::clone(&bytes));
            case(format!("rename:{name}@{}", path.display()), renamed);
            let mut copied = truth.files.clone();
            copied.insert(path.with_file_name(name), Arc::clone(&bytes));
            case(format!("copy:{name}@{}", path.display()), copied);
        }
        for other in &paths {
            if path < other {
                let mut files = truth.files.clone();
                files.insert((*path).clone(), Arc::clone(&truth.files[*other]));
                files.insert((*other).clone(), Arc::clone(&truth.files[*path]));
                case(format!("exchange@{}:{}", path.display(), other.display()), files);
            }
            if path != other {
                let mut files = truth.files.clone();
                files.insert((*path).clone(), Arc::clone(&truth.files[*other]));
                case(format!("replace@{}:{}", path.display(), other.display()), files);
            }
        }
    }
    let mut dirs: Vec<PathBuf> =
        truth.files.keys().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned).collect();
    dirs.sort();
    dirs.dedup();
    for dir in dirs.iter().filter(|dir| dir.starts_with(super::store::STORE) && **dir != Path::new(super::store::STORE))
    {
        let without: Files = truth
            .files
            .iter()
            .filter(|(path, _)| !path.starts_with(dir))
            .map(|(path, bytes)| (path.clone(), Arc::clone(bytes)))
            .collect();
        case(format!("delete-dir@{}", dir.display()), without);
        for other in dirs.iter().filter(|other| other.file_name() != dir.file_name() && *other > dir) {
            if other.starts_with(dir) || dir.starts_with(other) {
                continue;
            }
            let moved = |path: &Path| match (path.strip_prefix(dir), path.strip_prefix(other)) {
                (Ok(rest), _) => other.join(rest),
                (_, Ok(rest)) => dir.join(rest),
                _ => path.to_owned(),
            };
            let files = truth.files.iter().map(|(path, bytes)| (moved(path), Arc::clone(bytes))).collect();
            case(format!("exchange-dirs@{}:{}", dir.display(), other.display()), files);
        }
    }
    cases
}

/// Files, logs and groups of logs as they were at an earlier moment, the rest as it is.
fn older(truth: &Truth) -> Vec<Case> {
    let mut cases = Vec::new();
    for (moment, then) in &truth.moments {
        let mut case = |name: String, is_put_back: &dyn Fn(&Path) -> bool| {
            let now = truth.files.iter().filter(|(path, _)| !is_put_back(path));
            let then = then.iter().filter(|(path, _)| is_put_back(path));
            let files: Files = now.chain(then).map(|(path, bytes)| (path.clone(), Arc::clone(bytes))).collect();
            if files != truth.files && files.len() > 1 {
                cases.push(Case::replaced(truth, Group::Older, format!("{moment}:{name}"), files));
            }
        };
        for path in then.keys() {
            case(format!("file@{}", path.display()), &|other| other == path);
        }
        // Every choice of logs but all of them, which is the whole store.
        for choice in 1..(1_usize << truth.logs.len()) - 1 {
            let is_chosen = |path: &Path| truth.log_of(path).is_some_and(|log| choice >> log & 1 == 1);
            let names: Vec<_> = truth
                .logs
                .iter()
                .enumerate()
                .filter(|(log, _)| choice >> log & 1 == 1)
                .map(|(_, log)| log.name.as_str())
                .collect();
            case(format!("logs:{}", names.join("+")), &is_chosen);
        }
    }
    cases
}
