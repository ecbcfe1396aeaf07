//! Every state of a disk that a crash may leave, or as many of them as asked.
//!
//! # Invariants
//!
//! - C1. What was durable is in every state, whatever the choices.
//! - C2. A sector is what it was, or what it was after one of the changes since, or torn between two of these.
//! - C3. A length is one the file had since its last sync, or a sector's border between them. What no write reached
//!   within it reads as zeros, as ones, or as what the file's blocks held before they were cut off.
//! - C4. Each name set or taken away since its directory's last sync is so or not, whatever became of the others.

use super::DiskState;
use super::file::{Change, SimFile};
use super::image::Image;
use super::names::{Inode, Node, SimDir};
use super::sectors::{SECTOR, Sectors};
use crate::Random;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// How many states are drawn from each moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPlan {
    /// Up to this many sectors on their way, every subset of them is a state of its own.
    pub all_subsets_of: usize,
    /// With more, this many subsets are drawn.
    pub subsets: usize,
    /// Sectors that are lost alone, or arrive alone; drawn if there are more.
    pub singles: usize,
    /// Torn sectors drawn.
    pub torn: usize,
    /// Lengths tried beside the old and the new one.
    pub lengths: usize,
    /// Combinations of names tried, if there are too many for all.
    pub names: usize,
}

/// What a crash left.
#[derive(Clone, Debug)]
pub struct Crash {
    /// How it came about, for people.
    pub label: String,
    /// The disk.
    pub image: Image,
    /// Whether nothing was lost that the system had: what the end of a process leaves.
    pub is_kill: bool,
}

/// How far behind the last sector of data what no write reached holds something else than zeros.
const FILLED_SECTORS: usize = 9;

/// What no write reached.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Zeros,
    Ones,
    Stale,
}

/// A file with changes on their way.
struct Dirty<'a> {
    inode: Inode,
    file: &'a SimFile,
    /// The sectors that differ after some change: index and versions, the durable one first.
    sectors: Vec<(usize, Vec<[u8; SECTOR]>)>,
    /// The lengths it had, the durable one first and the newest last.
    lens: Vec<usize>,
}

/// What of the changes reached the disk.
struct Choice {
    /// For each name change, in the order of directories and time.
    names: Vec<bool>,
    /// For each dirty file.
    files: Vec<FileChoice>,
}

#[derive(Clone)]
struct FileChoice {
    /// The version of each dirty sector.
    versions: Vec<usize>,
    len: usize,
    fill: Fill,
    /// A sector, by its place among the dirty ones, whose first bytes are of the newest version and the rest durable.
    torn: Option<(usize, usize)>,
}

impl DiskState {
    /// Hands `take` the states that a crash at this moment may leave, the same one perhaps several times.
    pub fn crashes(&self, plan: &CrashPlan, random: &mut Random, take: &mut dyn FnMut(Crash)) {
        let seen = self.seen();
        take(Crash { label: "killed".to_owned(), image: seen, is_kill: true });
        let all = Choices::of(self);
        let mut give = |label: String, choice: &Choice| {
            take(Crash { label, image: all.image(self, choice), is_kill: false });
        };
        give("nothing arrived".to_owned(), &all.choice(false, false));
        give("everything arrived".to_owned(), &all.choice(true, true));
        if all.dirty.is_empty() && all.name_count == 0 {
            return;
        }
        for (label, choice) in all.prefixes() {
            give(label, &choice);
        }
        all.single_sectors(plan, random, &mut give);
        all.subsets(plan, random, &mut give);
        all.lengths(plan, random, &mut give);
        all.torn(plan, random, &mut give);
        all.names(plan, random, &mut give);
    }
}

/// What there is to choose from.
struct Choices<'a> {
    dirty: Vec<Dirty<'a>>,
    name_count: usize,
}

impl<'a> Choices<'a> {
    fn of(state: &'a DiskState) -> Self {
        let mut choices = Self { dirty: Vec::new(), name_count: 0 };
        for (inode, node) in state.tree.nodes.iter().enumerate() {
            match node {
                Node::File(file) if !file.pending.is_empty() => choices.dirty.push(Dirty::of(inode, file)),
                Node::File(_) => {}
                Node::Dir(dir) => choices.name_count += dir.pending.len(),
            }
        }
        choices
    }

    fn choice(&self, names: bool, data: bool) -> Choice {
        Choice {
            names: vec![names; self.name_count],
            files: self.dirty.iter().map(|dirty| dirty.choice(data)).collect(),
        }
    }

    fn image(&self, state: &DiskState, choice: &Choice) -> Image {
        let mut taken = 0;
        let mut names = BTreeMap::new();
        for (inode, node) in state.tree.nodes.iter().enumerate() {
            if let Node::Dir(dir) = node {
                let chosen = &choice.names[taken..taken + dir.pending.len()];
                taken += dir.pending.len();
                names.insert(inode, names_of(dir, chosen));
            }
        }
        let files: BTreeMap<Inode, Sectors> =
            self.dirty.iter().zip(&choice.files).map(|(dirty, choice)| (dirty.inode, dirty.bytes(choice))).collect();
        state.image(
            |inode, _| names.get(&inode).cloned().unwrap_or_default(),
            |inode, file| files.get(&inode).unwrap_or(&file.durable).clone(),
        )
    }

    /// Every sector on its way, as (file, place in its list).
    fn places(&self) -> Vec<(usize, usize)> {
        let of = |(file, dirty): (usize, &Dirty<'_>)| (0..dirty.sectors.len()).map(move |place| (file, place));
        self.dirty.iter().enumerate().flat_map(of).collect()
    }

    /// What arrived in order up to each change.
    fn prefixes(&self) -> Vec<(String, Choice)> {
        let mut numbers: Vec<u64> =
            self.dirty.iter().flat_map(|dirty| dirty.file.pending.iter().map(|(number, _)| *number)).collect();
        numbers.sort_unstable();
        numbers.pop();
        numbers
            .into_iter()
            .map(|number| {
                let files = self.dirty.iter().map(|dirty| dirty.up_to(number)).collect();
                (format!("in order up to call {number}"), Choice { names: vec![true; self.name_count], files })
            })
            .collect()
    }

    fn single_sectors(&self, plan: &CrashPlan, random: &mut Random, give: &mut dyn FnMut(String, &Choice)) {
        let mut places = self.places();
        while places.len() > plan.singles {
            places.swap_remove(random.below(places.len() as u64) as usize);
        }
        for (file, place) in places {
            let index = self.dirty[file].sectors[place].0;
            let mut choice = self.choice(true, true);
            choice.files[file].versions[place] = 0;
            give(format!("all but sector {index}"), &choice);
            let mut choice = self.choice(true, true);
            for file in &mut choice.files {
                file.versions.fill(0);
            }
            choice.files[file].versions[place] = self.dirty[file].sectors[place].1.len() - 1;
            give(format!("only sector {index}"), &choice);
        }
    }

    fn subsets(&self, plan: &CrashPlan, random: &mut Random, give: &mut dyn FnMut(String, &Choice)) {
        let places = self.places();
        if places.len() <= plan.all_subsets_of {
            for bits in 0..1_u64 << places.len() {
                let mut choice = self.choice(true, true);
                for (bit, (file, place)) in places.iter().enumerate() {
                    if bits >> bit & 1 == 0 {
                        choice.files[*file].versions[*place] = 0;
                    }
                }
                give(format!("subset {bits:b}"), &choice);
            }
            return;
        }
        for number in 0..plan.subsets {
            let choice = self.random(random);
            give(format!("drawn {number}"), &choice);
        }
    }

    /// Anything goes.
    fn random(&self, random: &mut Random) -> Choice {
        let names = (0..self.name_count).map(|_| random.below(4) > 0).collect();
        // In sectors, or in pages of eight; and a crash early, in the middle or late.
        let (unit, odds) = (if random.below(2) == 0 { 1 } else { 8 }, 1 + random.below(3));
        let files = self.dirty.iter().map(|dirty| dirty.random(unit, odds, random)).collect();
        Choice { names, files }
    }

    fn lengths(&self, plan: &CrashPlan, random: &mut Random, give: &mut dyn FnMut(String, &Choice)) {
        for (file, dirty) in self.dirty.iter().enumerate() {
            let mut lens = dirty.lens.clone();
            lens.extend((0..plan.lengths).map(|_| dirty.random_len(random)));
            for len in lens {
                for fill in [Fill::Zeros, Fill::Ones, Fill::Stale] {
                    let mut choice = self.choice(true, true);
                    choice.files[file].len = len;
                    choice.files[file].fill = fill;
                    give(format!("length {len}, the rest {fill:?}"), &choice);
                    choice.files[file].versions.fill(0);
                    give(format!("length {len} without data, the rest {fill:?}"), &choice);
                }
            }
        }
    }

    fn torn(&self, plan: &CrashPlan, random: &mut Random, give: &mut dyn FnMut(String, &Choice)) {
        let places = self.places();
        for _ in 0..if places.is_empty() { 0 } else { plan.torn } {
            let (file, place) = places[random.below(places.len() as u64) as usize];
            let cut = 1 + random.below(SECTOR as u64 - 1) as usize;
            let mut choice = self.choice(true, true);
            choice.files[file].torn = Some((place, cut));
            if random.below(2) == 0 {
                // The torn one is the last that arrived.
                for later in place + 1..choice.files[file].versions.len() {
                    choice.files[file].versions[later] = 0;
                }
            }
            give(format!("sector {} torn at {cut}", self.dirty[file].sectors[place].0), &choice);
        }
    }

    fn names(&self, plan: &CrashPlan, random: &mut Random, give: &mut dyn FnMut(String, &Choice)) {
        let count = self.name_count;
        let mut sets: Vec<Vec<bool>> = Vec::new();
        if count <= 4 {
            sets.extend((0..1_u64 << count).map(|bits| (0..count).map(|bit| bits >> bit & 1 == 1).collect()));
        } else {
            for one in 0..count {
                sets.push((0..count).map(|other| other != one).collect());
                sets.push((0..count).map(|other| other == one).collect());
                sets.push((0..count).map(|other| other <= one).collect());
            }
            sets.extend((0..plan.names).map(|_| (0..count).map(|_| random.below(2) == 0).collect()));
        }
        for names in sets {
            for data in [false, true] {
                let choice = Choice { names: names.clone(), ..self.choice(true, data) };
                give(format!("names {names:?}, data {data}"), &choice);
            }
            let choice = Choice { names: names.clone(), ..self.random(random) };
            give(format!("names {names:?}, data drawn"), &choice);
        }
    }
}

/// C4.
fn names_of(dir: &SimDir, chosen: &[bool]) -> BTreeMap<OsString, Inode> {
    let mut names = dir.durable.clone();
    for (change, is_chosen) in dir.pending.iter().zip(chosen) {
        if *is_chosen {
            match change.to {
                Some(inode) => names.insert(change.name.clone(), inode),
                None => names.remove(&change.name),
            };
        }
    }
    names
}

impl<'a> Dirty<'a> {
    fn of(inode: Inode, file: &'a SimFile) -> Self {
        let mut lens = vec![file.durable.len()];
        let mut sectors = BTreeMap::<usize, Vec<[u8; SECTOR]>>::new();
        let mut now = file.durable.clone();
        for (_, change) in &file.pending {
            let before = now.clone();
            change.apply(&mut now);
            lens.push(now.len());
            let touched = match change {
                Change::Write { offset, bytes } => offset / SECTOR..(offset + bytes.len()).div_ceil(SECTOR),
                Change::SetLen(len) => len / SECTOR..before.sector_count().max(now.sector_count()),
            };
            for index in touched.filter(|index| !before.has_same_sector(&now, *index)) {
                let versions = sectors.entry(index).or_insert_with(|| vec![*file.durable.sector(index)]);
                versions.push(*now.sector(index));
            }
        }
        lens.dedup();
        Self { inode, file, sectors: sectors.into_iter().collect(), lens }
    }

    fn choice(&self, newest: bool) -> FileChoice {
        let version = |versions: &Vec<[u8; SECTOR]>| if newest { versions.len() - 1 } else { 0 };
        FileChoice {
            versions: self.sectors.iter().map(|(_, versions)| version(versions)).collect(),
            len: if newest { self.newest_len() } else { self.lens[0] },
            fill: Fill::Zeros,
            torn: None,
        }
    }

    fn newest_len(&self) -> usize {
        *self.lens.last().expect("BUG: a file has a length")
    }

    fn up_to(&self, number: u64) -> FileChoice {
        let mut now = self.file.durable.clone();
        for (_, change) in self.file.pending.iter().filter(|(at, _)| *at <= number) {
            change.apply(&mut now);
        }
        let version = |(index, versions): &(usize, Vec<[u8; SECTOR]>)| {
            let found = versions.iter().rposition(|version| version == now.sector(*index));
            found.expect("BUG: a prefix of the changes gives a sector that none of them gave")
        };
        let versions = self.sectors.iter().map(version).collect();
        FileChoice { versions, len: now.len(), fill: Fill::Zeros, torn: None }
    }

    fn random_len(&self, random: &mut Random) -> usize {
        let (least, most) = (*self.lens.iter().min().unwrap_or(&0), *self.lens.iter().max().unwrap_or(&0));
        // Where the data is, rather than somewhere in the zeros written ahead.
        let data_end = self.sectors.last().map_or(most, |(index, _)| ((index + 1) * SECTOR).clamp(least, most));
        let end = if random.below(4) == 0 { most } else { data_end };
        let at = least + random.below((end - least) as u64 + 1) as usize;
        if random.below(2) == 0 { at } else { (at / SECTOR * SECTOR).clamp(least, most) }
    }

    fn random(&self, unit: usize, odds: u64, random: &mut Random) -> FileChoice {
        let mut choice = self.choice(true);
        let (mut last_unit, mut arrives) = (usize::MAX, false);
        for ((index, versions), chosen) in self.sectors.iter().zip(&mut choice.versions) {
            if index / unit != last_unit {
                (last_unit, arrives) = (index / unit, random.below(4) < odds);
            }
            *chosen = match (arrives, random.below(4)) {
                (false, _) => 0,
                (true, 0) => random.below(versions.len() as u64) as usize,
                (true, _) => versions.len() - 1,
            };
        }
        if random.below(2) == 0 {
            choice.len = match random.below(2) {
                0 => self.lens[random.below(self.lens.len() as u64) as usize],
                _ => self.random_len(random),
            };
        }
        choice.fill = match random.below(6) {
            0 => Fill::Ones,
            1 => Fill::Stale,
            _ => Fill::Zeros,
        };
        choice
    }

    /// C1 to C3.
    fn bytes(&self, choice: &FileChoice) -> Sectors {
        let mut bytes = self.file.durable.clone();
        let most = *self.lens.iter().max().unwrap_or(&0);
        bytes.set_len(most.max(choice.len));
        let durable_sectors = self.file.durable.len().div_ceil(SECTOR);
        if !matches!(choice.fill, Fill::Zeros) {
            // Behind the data there may be zeros written ahead by the hundred; a page of them is as good as all.
            let data_end = self.sectors.last().map_or(durable_sectors, |(index, _)| *index);
            let fill_end = bytes.sector_count().min(data_end + FILLED_SECTORS);
            for index in durable_sectors..fill_end {
                match choice.fill {
                    Fill::Zeros => {}
                    Fill::Ones => bytes.put_sector(index, &[0xff; SECTOR]),
                    Fill::Stale => bytes.put_sector(index, self.file.stale.sector(index)),
                }
            }
        }
        for (place, ((index, versions), version)) in self.sectors.iter().zip(&choice.versions).enumerate() {
            let is_missing = *version == 0 && *index >= durable_sectors;
            match choice.torn.filter(|(torn, _)| *torn == place) {
                Some((_, cut)) => {
                    let mut sector = versions[0];
                    sector[..cut].copy_from_slice(&versions[versions.len() - 1][..cut]);
                    bytes.put_sector(*index, &sector);
                }
                None if is_missing => {}
                None => bytes.put_sector(*index, &versions[*version]),
            }
        }
        bytes.set_len(choice.len);
        bytes
    }
}
