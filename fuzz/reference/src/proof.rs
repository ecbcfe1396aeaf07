//! "Proofs", as RFC 9162 checks them: bit by bit along index and sizes, sections 2.1.3.2 and 2.1.4.2. What joins two
//! hashes comes from the caller, since nothing here hashes.

use crate::engine::Head;

type Hash = [u8; 32];

/// Whether `leaf` is at `index` of the tree with this head.
pub fn is_included(join: &dyn Fn(&Hash, &Hash) -> Hash, index: u64, leaf: Hash, path: &[Hash], head: Head) -> bool {
    let (size, root) = head;
    if index >= size {
        return false;
    }
    let (mut first, mut second, mut hash) = (index, size - 1, leaf);
    for beside in path {
        if second == 0 {
            return false;
        }
        if first & 1 == 1 || first == second {
            hash = join(beside, &hash);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                second >>= 1;
            }
        } else {
            hash = join(&hash, beside);
        }
        first >>= 1;
        second >>= 1;
    }
    second == 0 && hash == root
}

/// Whether the tree with head `old` is the beginning of that with head `new`; the root of the empty tree is `empty`.
pub fn is_consistent(
    join: &dyn Fn(&Hash, &Hash) -> Hash,
    empty: Hash,
    path: &[Hash],
    (old_size, old_root): Head,
    (new_size, new_root): Head,
) -> bool {
    if old_size == 0 || old_size >= new_size {
        let is_known = if old_size == 0 { old_root == empty } else { old_size == new_size && old_root == new_root };
        return path.is_empty() && is_known;
    }
    let mut path = path.to_vec();
    if old_size.is_power_of_two() {
        path.insert(0, old_root);
    }
    let (mut first, mut second) = (old_size - 1, new_size - 1);
    while first & 1 == 1 {
        first >>= 1;
        second >>= 1;
    }
    let Some((start, rest)) = path.split_first() else { return false };
    let (mut old, mut new) = (*start, *start);
    for beside in rest {
        if second == 0 {
            return false;
        }
        if first & 1 == 1 || first == second {
            old = join(beside, &old);
            new = join(beside, &new);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                second >>= 1;
            }
        } else {
            new = join(&new, beside);
        }
        first >>= 1;
        second >>= 1;
    }
    second == 0 && old == old_root && new == new_root
}
