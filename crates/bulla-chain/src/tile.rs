//! Tiles: the tree in pieces of 256 hashes, as C2SP's `tlog-tiles` cuts it, and a reader that trusts none of them.
//!
//! The tile at level l with index n holds the roots of the complete subtrees of 256^l leaves numbered 256n to 256n + 255,
//! as far as the tree has them. What is above a full tile is in the level above; what is in a partial one, at the right
//! edge, is not. Paths and bytes: docs/FORMAT.md, "Tiles".
//!
//! # Invariants
//!
//! - T1. Each hash that [`TileReader::node`] gives out is part of the tree whose head it was opened with, as long as nobody
//!   finds two inputs with one SHA-256. It reads a tile whole and recomputes it: partial ones, all of which are at the
//!   right edge, together up to the root; every other one up to its hash in the tile above, which was recomputed before.
//! - T2. A reader keeps at most two tiles a level: 128 KiB.

use crate::digest::Digest;
use crate::proof::NodeAddress;
use crate::tree::{TreeHead, complete_root, row_root};
use std::fmt;

/// Hashes in a full tile.
const WIDTH: u16 = 256;
/// How many levels of the tree a tile spans.
const HEIGHT: u8 = 8;
/// Levels there are: 256^8 leaves are more than a size can count.
const LEVELS: u8 = 8;
const DIGEST_LEN: usize = 32;

/// Where a tile is, and how many hashes it has.
///
/// # Examples
///
/// ```
/// use bulla_chain::Tile;
/// // What C2SP gives as its example: a tree of 70,000 leaves.
/// let edges: Vec<_> = (0..8).filter_map(|level| Tile::edge(level, 70_000)).map(|tile| tile.to_string()).collect();
/// assert_eq!(edges, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
/// assert_eq!(Tile::full(0, 1_234_067).to_string(), "tile/0/x001/x234/067");
/// assert_eq!(Tile::full(0, 1_234_067).entries_path(), "tile/entries/x001/x234/067");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// The full tile with this index at this level.
    ///
    /// # Panics
    ///
    /// When `level` is above 7, where no tree has tiles.
    #[must_use]
    pub fn full(level: u8, index: u64) -> Self {
        assert!(level < LEVELS, "BUG: tiles have levels 0 to 7, not {level}");
        Self { level, index, width: WIDTH }
    }

    /// The partial tile at the right edge of a tree of `size` leaves; `None` if the level ends with a full tile or has none.
    #[must_use]
    pub fn edge(level: u8, size: u64) -> Option<Self> {
        let hashes = hashes_at(level, size);
        let width = place_in_tile(hashes).into();
        (width > 0).then_some(Self { level, index: hashes / u64::from(WIDTH), width })
    }

    /// All tiles of a tree of `size` leaves, level by level, from the left; partial ones only at the right edge.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        (0..LEVELS).flat_map(move |level| {
            let full = 0..hashes_at(level, size) / u64::from(WIDTH);
            full.map(move |index| Self::full(level, index)).chain(Self::edge(level, size))
        })
    }

    /// 0 to 7: a hash of the tile stands for 256^level leaves.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// How many tiles are to the left of it at its level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes it has: 1 to 256, and 256 is full.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// How many bytes it has: 32 for each hash.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        usize::from(self.width) * DIGEST_LEN
    }

    /// The subtrees whose roots the tile is made of.
    pub fn nodes(&self) -> impl Iterator<Item = NodeAddress> {
        let first = self.index * u64::from(WIDTH);
        let height = self.level * HEIGHT;
        (first..first + u64::from(self.width)).map(move |index| NodeAddress { height, index })
    }

    /// Where the entries under the tile's leaves are served, if its level is 0.
    #[must_use]
    pub fn entries_path(&self) -> String {
        format!("tile/entries/{}", Place(self))
    }
}

/// The path below a log's prefix.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, Place(self))
    }
}

/// Index and width as path elements: three digits each, all but the last behind an `x`.
struct Place<'a>(&'a Tile);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tile { index, width, .. } = *self.0;
        let mut groups = vec![index % 1_000];
        let mut rest = index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() { write!(f, "{group:03}") } else { write!(f, "x{group:03}/") }?;
        }
        if width < WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

/// How many hashes a level of a tree has.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or_default()
}

/// Which of its tile's hashes the one with this index at its level is: the remainder by 256.
fn place_in_tile(index: u64) -> u8 {
    let [place, ..] = index.to_le_bytes();
    place
}

/// Why a hash could not be read from tiles, or is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum TileError<E: std::error::Error + 'static> {
    /// Whoever keeps the tiles did not give one.
    #[error("cannot read {tile}")]
    Fetch { tile: Tile, source: E },
    /// A tile of another length.
    #[error("{tile} has {found} bytes where {} belong", tile.byte_len())]
    Length { tile: Tile, found: u64 },
    /// A full tile whose hashes do not add up to what is above it.
    #[error("{tile} has root {found}, and {expected} is in the tile above it")]
    Forged { tile: Tile, expected: Digest, found: Digest },
    /// The partial tiles do not add up to the head.
    #[error("the tiles at the edge of {size} leaves have root {found}, not {expected}")]
    Edge { size: u64, expected: Digest, found: Digest },
    /// The tree has no such complete subtree.
    #[error("a tree of {size} leaves has no complete subtree of 2^{} with index {}", address.height, address.index)]
    Incomplete { address: NodeAddress, size: u64 },
}

/// The hashes of a tree, from tiles nobody vouches for.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Digest, Frontier, NodeAddress, Tile, TileError, TileReader};
/// use std::convert::Infallible;
/// let mut frontier = Frontier::new();
/// (0..5).for_each(|leaf| frontier.push(Digest([leaf; 32])));
/// let tile = |_: &Tile| Ok::<_, Infallible>([[0; 32], [1; 32], [2; 32], [3; 32], [4; 32]].concat());
/// let mut reader = TileReader::open(frontier.head(), tile)?;
/// assert_eq!(reader.node(NodeAddress { height: 0, index: 3 })?, Digest([3; 32]));
///
/// let forged = |_: &Tile| Ok::<_, Infallible>([[0; 32], [1; 32], [2; 32], [9; 32], [4; 32]].concat());
/// assert!(matches!(TileReader::open(frontier.head(), forged), Err(TileError::Edge { .. })));
/// # Ok::<(), TileError<Infallible>>(())
/// ```
pub struct TileReader<F> {
    head: TreeHead,
    fetch: F,
    /// The partial tile of each level, checked against the head.
    edges: [Option<Loaded>; LEVELS as usize],
    /// The full tile of each level that was used last, checked against the one above it.
    recent: [Option<Loaded>; LEVELS as usize],
}

struct Loaded {
    tile: Tile,
    hashes: Vec<Digest>,
}

impl<F> TileReader<F> {
    /// A reader of the tree with this head, which the caller trusts. Reads the partial tiles, at most one a level.
    ///
    /// `fetch` gives the bytes of a tile. Where only the full tile is left in the place of a partial one, it gives the
    /// beginning of that.
    pub fn open<E: std::error::Error>(head: TreeHead, mut fetch: F) -> Result<Self, TileError<E>>
    where
        F: FnMut(&Tile) -> Result<Vec<u8>, E>,
    {
        let mut edges = [const { None }; LEVELS as usize];
        let mut row = Vec::new();
        for (level, edge) in (0..LEVELS).zip(&mut edges).rev() {
            let Some(tile) = Tile::edge(level, head.size) else { continue };
            let hashes = load(tile, &mut fetch)?;
            // The complete subtrees that the tile's hashes are the leaves of, the largest first.
            let mut rest = hashes.as_slice();
            while let Some(len) = rest.len().checked_ilog2() {
                let (subtree, others) = rest.split_at(1 << len);
                row.push(complete_root(subtree));
                rest = others;
            }
            *edge = Some(Loaded { tile, hashes });
        }
        let found = row_root(&row);
        if found != head.root {
            return Err(TileError::Edge { size: head.size, expected: head.root, found });
        }
        Ok(Self { head, fetch, edges, recent: [const { None }; LEVELS as usize] })
    }

    /// The root of a complete subtree. Reads at most one tile a level, none that was read for the call before.
    pub fn node<E: std::error::Error>(&mut self, address: NodeAddress) -> Result<Digest, TileError<E>>
    where
        F: FnMut(&Tile) -> Result<Vec<u8>, E>,
    {
        let size = self.head.size;
        if address.end().is_none_or(|end| end > size) {
            return Err(TileError::Incomplete { address, size });
        }
        let (level, height) = (address.height / HEIGHT, address.height % HEIGHT);
        let first = address.index << height;
        let hashes = self.hashes(level, first / u64::from(WIDTH))?;
        let start = usize::from(place_in_tile(first));
        let subtree = hashes.get(start..start + (1 << height));
        subtree.map(complete_root).ok_or(TileError::Incomplete { address, size })
    }

    /// The hashes of the tile with this index, checked.
    fn hashes<E: std::error::Error>(&mut self, level: u8, index: u64) -> Result<&[Digest], TileError<E>>
    where
        F: FnMut(&Tile) -> Result<Vec<u8>, E>,
    {
        let slot = usize::from(level);
        let is_at = |loaded: &Option<Loaded>| loaded.as_ref().is_some_and(|loaded| loaded.tile.index == index);
        let is_edge = self.edges.get(slot).is_some_and(is_at);
        if !is_edge && !self.recent.get(slot).is_some_and(is_at) {
            let above = self.hashes(level + 1, index / u64::from(WIDTH))?;
            let place = usize::from(place_in_tile(index));
            let expected = *above.get(place).expect("BUG: a full tile has a hash above it");
            let tile = Tile::full(level, index);
            let hashes = load(tile, &mut self.fetch)?;
            let found = complete_root(&hashes);
            if found != expected {
                return Err(TileError::Forged { tile, expected, found });
            }
            if let Some(recent) = self.recent.get_mut(slot) {
                *recent = Some(Loaded { tile, hashes });
            }
        }
        let kept = if is_edge { &self.edges } else { &self.recent };
        let loaded = kept.get(slot).and_then(Option::as_ref);
        Ok(&loaded.expect("BUG: the tile was just loaded").hashes)
    }
}

impl<F> fmt::Debug for TileReader<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TileReader").field("head", &self.head).finish_non_exhaustive()
    }
}

fn load<E: std::error::Error>(
    tile: Tile,
    fetch: &mut impl FnMut(&Tile) -> Result<Vec<u8>, E>,
) -> Result<Vec<Digest>, TileError<E>> {
    let bytes = fetch(&tile).map_err(|source| TileError::Fetch { tile, source })?;
    if bytes.len() != tile.byte_len() {
        return Err(TileError::Length { tile, found: bytes.len() as u64 });
    }
    let (hashes, _) = bytes.as_chunks::<DIGEST_LEN>();
    Ok(hashes.iter().copied().map(Digest).collect())
}
