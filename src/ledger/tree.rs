//! The Merkle tree over the records of one chain, as RFC 9162 §2.1 builds it: record `n` is leaf
//! `n − 1`, and a leaf's data is the record's line without its line feed.
//!
//! A chain shows that a record follows another; a tree lets one record be shown without the others.
//! Only the roots of the perfect subtrees along the right edge are kept, at most 64 of them, so that
//! a writer that never looks back can state the root at any moment.

use sha2::Digest as _;

use crate::terms::Digest;

/// The perfect subtrees that a tree of `size` leaves falls into, largest first: one for each bit that
/// is set in `size`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

impl Frontier {
    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root. Source: RFC 9162 §2.1.1.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut smallest_first = self.roots.iter().rev();
        let Some(last) = smallest_first.next() else { return Digest::of(b"") };
        smallest_first.fold(*last, |right, left| node(left, &right))
    }

    /// Adds a leaf of which the hash is known.
    pub fn push(&mut self, leaf: Digest) {
        self.roots.push(leaf);
        self.size += 1;
        // Each trailing zero bit of the new size is a pair of equal subtrees that became one.
        for _ in 0..self.size.trailing_zeros() {
            let (Some(right), Some(left)) = (self.roots.pop(), self.roots.pop()) else { return };
            self.roots.push(node(&left, &right));
        }
    }

    /// One line: the size and the subtrees' roots in hexadecimal digits, between spaces.
    #[must_use]
    pub fn to_line(&self) -> String {
        let roots = self.roots.iter().map(Digest::hex);
        std::iter::once(self.size.to_string()).chain(roots).collect::<Vec<_>>().join(" ")
    }

    /// Reads [`to_line`](Self::to_line); `None` where it is no tree's.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let size: u64 = words.next()?.parse().ok()?;
        let roots: Vec<Digest> = words.map(Digest::parse).collect::<Option<_>>()?;
        let expected = usize::try_from(size.count_ones()).ok()?;
        (roots.len() == expected).then_some(Self { size, roots })
    }

    /// The subtrees that lie within `range`, of a tree that begins where this one begins.
    fn within(&self, range: &std::ops::Range<u64>) -> Self {
        let mut inner = Self::default();
        let mut begins = 0;
        let mut bits = (0..u64::BITS).rev().filter(|bit| self.size >> bit & 1 == 1);
        for root in &self.roots {
            let Some(bit) = bits.next() else { break };
            let length = 1_u64 << bit;
            if begins >= range.start && begins + length <= range.end {
                inner.roots.push(*root);
                inner.size += length;
            }
            begins += length;
        }
        inner
    }
}

/// The hash of a leaf. Source: RFC 9162 §2.1.1.
#[must_use]
pub fn leaf(data: &[u8]) -> Digest {
    hash(&[&[0], data])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    hash(&[&[1], left.as_bytes(), right.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> Digest {
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Digest::from_bytes(hasher.finalize().into())
}

/// Collects the proof that a leaf is in a tree, or that a tree continues another, while the leaves pass by
/// in their order. Memory grows
/// with the logarithm of the tree. Source: RFC 9162 §2.1.3.1.
#[derive(Debug)]
pub(super) struct Prover {
    size: u64,
    /// Leaves seen.
    seen: u64,
    /// The subtrees beside the leaf's way to the root, in the order of their leaves, each with its
    /// place among the hashes of the proof.
    siblings: Vec<Sibling>,
    at: usize,
}

#[derive(Debug)]
struct Sibling {
    range: std::ops::Range<u64>,
    height: usize,
    tree: Frontier,
}

impl Prover {
    /// For leaf `index` of a tree of `size` leaves, of which those in `before` have passed already;
    /// `None` where the leaf is not among those to come, or not in the tree.
    #[must_use]
    pub(super) fn new(index: u64, size: u64, before: &Frontier) -> Option<Self> {
        if index >= size || index < before.size {
            return None;
        }
        let mut siblings = Vec::new();
        let mut tree = 0..size;
        while tree.end - tree.start > 1 {
            let middle = middle(&tree);
            let (inside, beside) = if index < middle {
                (tree.start..middle, middle..tree.end)
            } else {
                (middle..tree.end, tree.start..middle)
            };
            siblings.push(beside);
            tree = inside;
        }
        // The deepest is beside the leaf itself, and first in the proof.
        siblings.reverse();
        Some(Self::of(siblings, size, before))
    }

    /// For a tree of `size` leaves as the continuation of one of `old`, of which the leaves in `before` have
    /// passed already; `None` where it is none, or where more than the old ones have passed.
    /// Source: RFC 9162 §2.1.4.1.
    #[must_use]
    pub(super) fn consistency(old: u64, size: u64, before: &Frontier) -> Option<Self> {
        if old == 0 || old > size || old < before.size {
            return None;
        }
        let (mut ranges, mut tree) = (Vec::new(), 0..size);
        // Whoever checks the proof knows the root of the old tree, and needs it only where it is no
        // subtree of the new one.
        let mut is_known = true;
        while old < tree.end {
            let middle = middle(&tree);
            if old <= middle {
                ranges.push(middle..tree.end);
                tree = tree.start..middle;
            } else {
                ranges.push(tree.start..middle);
                tree = middle..tree.end;
                is_known = false;
            }
        }
        if !is_known {
            ranges.push(tree);
        }
        ranges.reverse();
        Some(Self::of(ranges, size, before))
    }

    /// Collects the roots of these ranges, in this order.
    fn of(ranges: Vec<std::ops::Range<u64>>, size: u64, before: &Frontier) -> Self {
        let mut siblings: Vec<Sibling> = ranges
            .into_iter()
            .enumerate()
            .map(|(height, range)| Sibling { height, tree: before.within(&range), range })
            .collect();
        siblings.sort_by_key(|sibling| sibling.range.start);
        Self { size, seen: before.size, siblings, at: 0 }
    }

    /// The next leaf's hash.
    pub(super) fn push(&mut self, leaf: Digest) {
        while self.siblings.get(self.at).is_some_and(|sibling| sibling.range.end <= self.seen) {
            self.at += 1;
        }
        if let Some(sibling) = self.siblings.get_mut(self.at)
            && sibling.range.contains(&self.seen)
        {
            sibling.tree.push(leaf);
        }
        self.seen += 1;
    }

    /// The hashes of the proof; beside a leaf's way they are those from the leaf up; `None` where leaves are missing.
    #[must_use]
    pub(super) fn finish(mut self) -> Option<Vec<Digest>> {
        if self.seen < self.size {
            return None;
        }
        self.siblings.sort_by_key(|sibling| sibling.height);
        let whole =
            |sibling: &Sibling| sibling.tree.size == sibling.range.end - sibling.range.start;
        self.siblings.iter().map(|sibling| whole(sibling).then(|| sibling.tree.root())).collect()
    }
}

/// Where a tree of two leaves or more falls into two: after the largest power of two that is smaller than
/// the number of its leaves.
fn middle(tree: &std::ops::Range<u64>) -> u64 {
    let leaves = tree.end - tree.start;
    tree.start + (1_u64 << (u64::BITS - 1 - (leaves - 1).leading_zeros()))
}

/// The root that a leaf and its proof lead to; `None` where the proof has not the length that such a
/// tree's has. Source: RFC 9162 §2.1.3.2.
#[must_use]
pub(super) fn root_by_proof(
    leaf: Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut first, mut last) = (index, size - 1);
    let mut root = leaf;
    for beside in proof {
        if last == 0 {
            return None;
        }
        if first & 1 == 1 || first == last {
            root = node(beside, &root);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, beside);
        }
        first >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as RFC 9162 §2.1.1 defines it, by recursion over all leaves.
    fn defined(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [leaf] => *leaf,
            _ => {
                let middle = leaves.len().next_power_of_two() / 2;
                node(&defined(&leaves[..middle]), &defined(&leaves[middle..]))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|at| leaf(&at.to_be_bytes())).collect()
    }

    fn frontier(leaves: &[Digest]) -> Frontier {
        leaves.iter().fold(Frontier::default(), |mut tree, leaf| {
            tree.push(*leaf);
            tree
        })
    }

    /// The inputs and roots of the test vectors that Certificate Transparency logs share.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::default();
        assert_eq!(
            tree.root().hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (input, root) in inputs.into_iter().zip(roots) {
            tree.push(leaf(input));
            assert_eq!(tree.root().hex(), root, "{} leaves", tree.size());
        }
    }

    #[test]
    fn a_tree_grown_leaf_by_leaf_is_the_one_that_is_defined() {
        let leaves = leaves(70);
        for count in 0..=leaves.len() {
            let tree = frontier(&leaves[..count]);
            assert_eq!(tree.root(), defined(&leaves[..count]), "{count} leaves");
            assert_eq!(Frontier::parse(&tree.to_line()), Some(tree), "{count} leaves");
        }
        for wrong in ["", "1", "x", "3 00", "-1", "1  "] {
            assert_eq!(Frontier::parse(wrong), None, "{wrong:?}");
        }
    }

    /// Every leaf of every tree up to 40, and with every part of the leaves known as a frontier only.
    #[test]
    fn every_leaf_is_proven_and_no_other() {
        let all = leaves(40);
        for size in 1..=40 {
            let root = frontier(&all[..size]).root();
            for index in 0..size {
                for before in 0..=index {
                    let known = frontier(&all[..before]);
                    let mut prover =
                        Prover::new(index as u64, size as u64, &known).expect("it is to come");
                    for leaf in &all[before..size] {
                        prover.push(*leaf);
                    }
                    let proof = prover.finish().expect("all have passed");
                    let (index, size) = (index as u64, size as u64);
                    let led_to = |leaf, index| root_by_proof(leaf, index, size, &proof);
                    assert_eq!(
                        led_to(all[usize::try_from(index).expect("small")], index),
                        Some(root)
                    );
                    assert_ne!(led_to(leaf(b"another"), index), Some(root));
                    if size > 1 {
                        let other = (index + 1) % size;
                        let leaf = all[usize::try_from(index).expect("small")];
                        assert_ne!(led_to(leaf, other), Some(root), "{index} of {size} as {other}");
                    }
                }
            }
        }
    }

    /// RFC 9162 §2.1.4.2, written from its words: whether `proof` leads from one root to the other.
    fn continues(old: (u64, Digest), new: (u64, Digest), proof: &[Digest]) -> bool {
        let mut path = proof.to_vec();
        if old.0.is_power_of_two() {
            path.insert(0, old.1);
        }
        let (mut first, mut last) = (old.0 - 1, new.0 - 1);
        while first & 1 == 1 {
            (first, last) = (first >> 1, last >> 1);
        }
        let mut path = path.into_iter();
        let Some(start) = path.next() else { return false };
        let (mut from, mut to) = (start, start);
        for beside in path {
            if last == 0 {
                return false;
            }
            if first & 1 == 1 || first == last {
                (from, to) = (node(&beside, &from), node(&beside, &to));
                while first & 1 == 0 && first != 0 {
                    (first, last) = (first >> 1, last >> 1);
                }
            } else {
                to = node(&to, &beside);
            }
            (first, last) = (first >> 1, last >> 1);
        }
        (from, to, last) == (old.1, new.1, 0)
    }

    /// Every pair of trees up to 40, and with every part of the old leaves known as a frontier only.
    #[test]
    fn every_tree_is_shown_to_continue_those_before_it_and_no_other() {
        let all = leaves(40);
        let root = |size: usize| frontier(&all[..size]).root();
        for size in 1..=40 {
            for old in 1..=size {
                for before in 0..=old {
                    let known = frontier(&all[..before]);
                    let mut prover = Prover::consistency(old as u64, size as u64, &known)
                        .expect("they are to come");
                    for leaf in &all[before..size] {
                        prover.push(*leaf);
                    }
                    let proof = prover.finish().expect("all have passed");
                    if old == size {
                        assert!(proof.is_empty());
                        continue;
                    }
                    let new = (size as u64, root(size));
                    let at = format!("{old} of {size}, {before} known");
                    assert!(continues((old as u64, root(old)), new, &proof), "{at}");
                    let other = frontier(&[&all[..old - 1], &[leaf(b"another")]].concat()).root();
                    assert!(!continues((old as u64, other), new, &proof), "{at}: another tree");
                    assert!(proof.len() <= 63);
                }
            }
        }
        assert!(Prover::consistency(0, 5, &Frontier::default()).is_none());
        assert!(Prover::consistency(6, 5, &Frontier::default()).is_none());
        assert!(Prover::consistency(2, 5, &frontier(&all[..3])).is_none(), "they have passed");
    }

    #[test]
    fn a_proof_that_is_too_long_too_short_or_of_nothing_is_none() {
        let all = leaves(5);
        let mut prover = Prover::new(2, 5, &Frontier::default()).expect("it is to come");
        for leaf in &all {
            prover.push(*leaf);
        }
        let mut proof = prover.finish().expect("all have passed");
        assert_eq!(root_by_proof(all[2], 2, 5, &proof[1..]), None);
        assert_eq!(root_by_proof(all[2], 5, 5, &proof), None);
        assert_eq!(root_by_proof(all[2], 0, 0, &proof), None);
        proof.push(all[0]);
        assert_eq!(root_by_proof(all[2], 2, 5, &proof), None);

        assert!(Prover::new(5, 5, &Frontier::default()).is_none());
        assert!(Prover::new(1, 5, &frontier(&all[..2])).is_none(), "it has passed already");
        let mut short = Prover::new(2, 5, &Frontier::default()).expect("it is to come");
        for leaf in &all[..4] {
            short.push(*leaf);
        }
        assert!(short.finish().is_none());
    }
}
