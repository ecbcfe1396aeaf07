//! A log or store and a disk that may fail it, played against the oracle, which is a vector of what was submitted.
//!
//! # Invariants
//!
//! - M1. After every play the disk is mended, power is cut, and everything acknowledged is there.

use crate::examine::{Depth, examine, host_on};
use crate::script::{Place, Runner, Step, Wrong};
use bulla_log::Durability;
use bulla_testkit::{Crash, CrashPlan, DiskState, Fault, Harm, Image, Random, SimDisk};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The program does something.
    Step(Step),
    /// Power is cut, and what that leaves is opened again.
    Crash {
        /// What decides over what is left.
        draw: u64,
    },
    /// A call from now on goes wrong.
    Fail {
        /// So many calls later.
        after: u64,
        /// How.
        harm: Harm,
        /// Whether all later ones do.
        for_good: bool,
    },
    /// Nothing goes wrong any more.
    Mend,
}

impl Op {
    /// Anything that can happen.
    #[must_use]
    pub fn draw(random: &mut Random, tables: u8) -> Self {
        match random.below(24) {
            0 | 1 => Self::Crash { draw: random.next_u64() },
            2 | 3 => {
                let harm = Harm::TOLD[random.below(Harm::TOLD.len() as u64) as usize];
                let for_good = harm.may_be_for_good() && random.below(3) == 0;
                Self::Fail { after: random.below(40), harm, for_good }
            }
            4 | 5 => Self::Mend,
            _ => Self::Step(Step::draw(random, tables)),
        }
    }
}

/// A place, and what happens there, from any bytes: what a fuzzer mutates.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> (Place, Vec<Op>) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (place, tables) = match first % 4 {
        0 => (Place::Store { tables: 2 }, 2),
        _ => (Place::Log, 1),
    };
    // Two bytes choose an operation, so that a mutation changes one and leaves the others.
    let ops = rest.chunks(2).take(64).map(|chunk| {
        let seed = chunk.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Op::draw(&mut Random::new(seed), tables)
    });
    (place, ops.collect())
}

/// What a play amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Operations.
    pub ops: u64,
    /// Of these, crashes.
    pub crashes: u64,
    /// Calls to the disk that went wrong.
    pub faults: u64,
}

/// Lets it all happen.
///
/// # Errors
///
/// A wrong answer.
pub fn play(place: Place, ops: &[Op], seed: u64) -> Result<Played, Wrong> {
    let mut played = Played::default();
    let mut disk = new_disk(SimDisk::new(seed));
    let mut runner = Runner::new(place, host_on(&disk, seed));
    let _refused = runner.open()?;
    for (number, op) in ops.iter().enumerate() {
        played.ops += 1;
        let outcome = match *op {
            Op::Step(step) => runner.step(step),
            Op::Crash { draw } => {
                played.crashes += 1;
                played.faults += disk.fault_count();
                let image = crash(&disk.state(), draw);
                disk = new_disk(SimDisk::of(seed ^ draw, &image));
                runner.move_to(host_on(&disk, seed ^ draw));
                opened(&mut runner)
            }
            Op::Fail { after, harm, for_good } => {
                disk.set_fault(Some(Fault { at: disk.call_count() + after, harm, for_good }));
                Ok(())
            }
            Op::Mend => {
                disk.set_fault(None);
                Ok(())
            }
        };
        outcome.map_err(|what| format!("at {number}, {op:?}: {what}"))?;
    }
    played.faults += disk.fault_count();
    // M1.
    let (told, image) = (runner.ledger.now(), crash(&disk.state(), seed));
    let depth = Depth { read: true, go_on: true, watch: false };
    examine(place, &image, &told, false, seed, depth).map_err(|what| format!("in the end: {what}"))?;
    disk.set_fault(None);
    runner.drop_all()?;
    opened(&mut runner).map_err(|what| format!("in the end, on the same system: {what}"))?;
    for table in 0..told.len() as u8 {
        runner.step(Step::Append { table, count: 1, size: 9, durability: Durability::Durable })?;
    }
    Ok(played)
}

fn new_disk(disk: SimDisk) -> SimDisk {
    // Too little room for a reserve, whose zeros would be most of every image.
    disk.set_capacity(Some(15 << 20));
    disk
}

/// On a disk that does as it is told, opening is never refused.
fn opened(runner: &mut Runner) -> Result<(), Wrong> {
    match runner.open()? {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("opening is refused: {error} {error:?}")),
    }
}

/// One of the disks that a crash may leave now.
fn crash(state: &DiskState, draw: u64) -> Image {
    let plan = CrashPlan { all_subsets_of: 0, subsets: 12, singles: 2, torn: 2, lengths: 1, names: 2 };
    let mut images = Vec::new();
    state.crashes(&plan, &mut Random::new(draw), &mut |Crash { image, is_kill, .. }| {
        if !is_kill {
            images.push(image);
        }
    });
    let chosen = Random::new(!draw).below(images.len() as u64) as usize;
    images.swap_remove(chosen)
}
