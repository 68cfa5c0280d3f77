//! `Trie`: where subjects with wildcards end, token by token.
//!
//! Each place knows its parent and its token; one [`Index`] for the whole trie leads from a parent
//! and a token to the child. So a place costs 48 bytes and not a hash table of its own. What ends
//! in `*` or `>` needs no place for that token:
//!
//! ```text
//! a.*    a.>    a.*.c
//!
//! root ── a ── * ── c [ends]
//!         │
//!         └─ [ends in *] [ends in >]
//! ```

use super::SetId;
use super::index::{Hashing, Index};
use super::pool::Pool;
use super::search::Branch;
use crate::core::small_bytes::SmallBytes;
use midge_protocol::subject;

/// A place in the trie.
#[derive(Debug)]
struct Node {
    token: SmallBytes<22>,
    parent: u32,
    /// Children under a token that is no wildcard.
    literals: u32,
    /// The child below `*`, or `NONE`.
    partial: u32,
    /// What ends here, by [`End`], or `NONE`.
    ends: [u32; 3],
}

/// How a subject ends at a place.
#[derive(Clone, Copy, Debug)]
enum End {
    /// With the place's own token.
    Here,
    /// With `*` below it.
    Partial,
    /// With `>` below it.
    Full,
}

/// What a walk has come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walked {
    /// Places that were looked at.
    pub(super) places: usize,
    /// Whether the last token made no difference: with another one that is not empty, the same is found.
    pub(super) is_for_all: bool,
}

const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;

impl Branch {
    /// All of a subject, from the root on.
    pub(super) const ROOT: Branch = Branch {
        place: ROOT,
        offset: 0,
    };
}

impl Node {
    fn new(parent: u32, token: &[u8]) -> Node {
        Node {
            token: SmallBytes::new([token]),
            parent,
            literals: 0,
            partial: NONE,
            ends: [NONE; 3],
        }
    }

    fn end(&self, end: End) -> Option<SetId> {
        let set = self.ends[end as usize];
        (set != NONE).then_some(SetId(set))
    }

    fn is_empty(&self) -> bool {
        self.literals == 0 && self.partial == NONE && self.ends == [NONE; 3]
    }
}

/// Sets by subjects with wildcards.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Pool<Node>,
    /// Children by parent and token.
    edges: Index,
    /// Sets that are in it.
    sets: usize,
}

impl Default for Trie {
    fn default() -> Trie {
        let mut nodes = Pool::default();
        let root = nodes.insert(Node::new(NONE, b""));
        debug_assert_eq!(root, ROOT);
        Trie {
            nodes,
            edges: Index::default(),
            sets: 0,
        }
    }
}

impl Trie {
    /// Whether no set is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.sets == 0
    }

    /// Places there are, the root aside: none, if no set is in it.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.bytes() + self.edges.bytes()
    }

    /// The set for `subject`: `new`, if there was none. The place where it ends comes with it; it is
    /// needed for leaving.
    pub(super) fn enter(&mut self, subject: &[u8], new: SetId, hashing: &Hashing) -> (SetId, u32) {
        let (way, last) = split_last(subject);
        let mut node = ROOT;
        for token in way.into_iter().flat_map(subject::tokens) {
            node = self.child(node, token, hashing);
        }
        let end = match last {
            b"*" => End::Partial,
            b">" => End::Full,
            _ => {
                node = self.child(node, last, hashing);
                End::Here
            }
        };
        let set = &mut self.nodes[node as usize].ends[end as usize];
        if *set == NONE {
            *set = new.0;
            self.sets += 1;
        }
        (SetId(*set), node)
    }

    /// The set for `subject`, if there is one.
    pub(super) fn find(&self, subject: &[u8], hashing: &Hashing) -> Option<SetId> {
        let (way, last) = split_last(subject);
        let below = |number: u32, token: &[u8]| {
            let node = &self.nodes[number as usize];
            match token {
                b"*" => (node.partial != NONE).then_some(node.partial),
                token => self.literal(number, node, token, hashing),
            }
        };
        let way = way.into_iter().flat_map(subject::tokens);
        let mut tokens = way;
        let place = tokens.try_fold(ROOT, below)?;
        let (place, end) = match last {
            b"*" => (place, End::Partial),
            b">" => (place, End::Full),
            token => (below(place, token)?, End::Here),
        };
        self.nodes[place as usize].end(end)
    }

    /// Each place but the root leads somewhere, and is found below its parent by its token; what ends there is
    /// counted.
    pub(super) fn invariants(&self, hashing: &Hashing) {
        self.nodes.invariants();
        self.edges.invariants();
        let (mut sets, mut literals, mut children) = (0, 0, 0);
        for (number, node) in self.nodes.iter() {
            sets += node.ends.iter().filter(|end| **end != NONE).count();
            literals += node.literals as usize;
            if number == ROOT {
                assert_eq!(node.parent, NONE);
                continue;
            }
            assert!(!node.is_empty(), "{node:?} leads nowhere");
            let parent = &self.nodes[node.parent as usize];
            let token = node.token.as_slice();
            if token == b"*" {
                assert_eq!(parent.partial, number);
            } else {
                children += 1;
                let found = self.literal(node.parent, parent, token, hashing);
                assert_eq!(found, Some(number), "{node:?}");
            }
        }
        assert_eq!((sets, literals), (self.sets, self.edges.len()));
        assert_eq!(children, literals);
    }

    /// Removes a set from the place where it ends, and the places that then lead nowhere.
    pub(super) fn leave(&mut self, set: SetId, place: u32, hashing: &Hashing) {
        self.sets -= 1;
        let ends = &mut self.nodes[place as usize].ends;
        let end = ends.iter_mut().find(|end| **end == set.0);
        *end.expect("it ends here") = NONE;
        let mut number = place;
        while number != ROOT && self.nodes[number as usize].is_empty() {
            let node = self.nodes.remove(number);
            let parent = &mut self.nodes[node.parent as usize];
            if parent.partial == number {
                parent.partial = NONE;
            } else {
                parent.literals -= 1;
                let hash = hashing.of_part(node.parent, node.token.as_slice());
                self.edges.remove(hash, number);
            }
            number = node.parent;
        }
    }

    /// Looks at the branches that are left, each with all that follows from it, until there are none or
    /// `places_max` places have been looked at. Appends the sets that a message
    /// to `subject` reaches, whether or not it has an empty token.
    ///
    /// A branch whose place has gone is passed over.
    pub(super) fn walk(
        &self,
        subject: &[u8],
        branches: &mut Vec<Branch>,
        places_max: usize,
        found: &mut Vec<SetId>,
        hashing: &Hashing,
    ) -> Walked {
        let (mut places, mut is_for_all) = (0, true);
        while let Some(Branch { place, offset }) = branches.pop() {
            let (mut number, mut offset) = (place, offset);
            while let Some(node) = self.nodes.get(number as usize) {
                if places >= places_max {
                    let place = number;
                    branches.push(Branch { place, offset });
                    return Walked { places, is_for_all };
                }
                places += 1;
                let rest = &subject[offset..];
                found.extend(node.end(End::Full));
                let Some(dot) = memchr::memchr(b'.', rest) else {
                    found.extend(node.end(End::Partial));
                    is_for_all &= node.literals == 0;
                    let child = self.literal(number, node, rest, hashing);
                    found.extend(child.and_then(|child| self.nodes[child as usize].end(End::Here)));
                    break;
                };
                offset += dot + 1;
                if node.partial != NONE {
                    let place = node.partial;
                    branches.push(Branch { place, offset });
                }
                match self.literal(number, node, &rest[..dot], hashing) {
                    Some(child) => number = child,
                    None => break,
                }
            }
        }
        Walked { places, is_for_all }
    }

    /// The child of `node`, which is the one at `number`, under a token that is no wildcard, or that
    /// stands in a published subject and so means none.
    fn literal(&self, number: u32, node: &Node, token: &[u8], hashing: &Hashing) -> Option<u32> {
        if node.literals == 0 {
            return None;
        }
        self.edges.get(hashing.of_part(number, token), |child| {
            let child = &self.nodes[child as usize];
            child.parent == number && child.token.as_slice() == token
        })
    }

    /// The place below that at `number` for `token`, made if need be.
    fn child(&mut self, number: u32, token: &[u8], hashing: &Hashing) -> u32 {
        let node = &self.nodes[number as usize];
        let is_partial = token == b"*";
        if is_partial && node.partial != NONE {
            return node.partial;
        }
        if !is_partial && let Some(child) = self.literal(number, node, token, hashing) {
            return child;
        }
        let child = self.nodes.insert(Node::new(number, token));
        let node = &mut self.nodes[number as usize];
        if is_partial {
            node.partial = child;
        } else {
            node.literals += 1;
            self.edges.insert(hashing.of_part(number, token), child);
        }
        child
    }
}

/// The last token of a subject, and what stands before it.
fn split_last(subject: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match memchr::memrchr(b'.', subject) {
        Some(dot) => (Some(&subject[..dot]), &subject[dot + 1..]),
        None => (None, subject),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Slot;
    use super::*;

    #[test]
    fn a_place_is_small_also_in_a_pool() {
        assert_eq!(size_of::<Slot<Node>>(), 48);
    }

    #[test]
    fn leaving_frees_every_place_and_no_other() {
        let hashing = Hashing::new(1);
        let mut trie = Trie::default();
        let subjects = ["a.b.c.*", "a.b.>", "*.*", "*.a.*.b", "a.*.c", "*", ">"];
        let places = [3, 3, 4, 7, 9, 9, 9];
        let mut entered = Vec::new();
        for ((number, subject), places) in (0..).zip(subjects).zip(places) {
            let (set, place) = trie.enter(subject.as_bytes(), SetId(number), &hashing);
            assert_eq!((set, trie.len()), (SetId(number), places), "{subject}");
            let again = trie.enter(subject.as_bytes(), SetId(100), &hashing);
            assert_eq!(again, (set, place), "{subject}");
            entered.push((set, place));
        }
        for ((set, place), places) in entered.into_iter().zip([8, 7, 7, 3, 0, 0, 0]) {
            trie.leave(set, place, &hashing);
            assert_eq!(trie.len(), places, "{}", subjects[set.0 as usize]);
        }
        assert!(trie.is_empty());
    }
}
