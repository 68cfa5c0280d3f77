//! Where imports lead to in the end: none may lead back to where it began, and no request may go through too many
//! accounts.
//!
//! ```text
//! A imports b.* of B as a.*      a.* in A ──▶ b.* in B
//! B imports c.> of C as b.x.>    b.x.> in B ──▶ c.> in C     what comes from A has two tokens, and goes no further
//! B imports c of C as b.x        b.x in B ──▶ c in C         a.x in A comes to C
//! ```
//!
//! Each import is a step from one pattern in one account to another pattern in another account, the way that messages
//! go. A step follows another one if what that leads to overlaps what this begins with.
//!
//! Most accounts are on no way back, whatever their subjects are: that is looked at first, with accounts alone. Then
//! those steps are taken away, again and again, that no other one follows; no list of all pairs is made, since there
//! may be very many. What is left is suspicious, and is walked step by step with the subjects that can come that far:
//! only this walk refuses an import. It takes long where very many ways cross, so there is a bound on it, and an import
//! that would need more is refused.
//!
//! A message that comes to an import again is refused also where it would stop there in the end.
//!
//! An account may import from itself, also what leads to the import itself: such a step is done once.

use super::check::{Fault, Place};
use super::import::Import;
use crate::config::Account;
use crate::mapping::{Patterns, common};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Most accounts that a request may go through, with that of who asks.
pub(crate) const CHAIN_ACCOUNTS_MAX: usize = 16;

/// Most steps that are walked in all: some tenths of a second.
const WALK_STEPS_MAX: usize = 1_000_000;

/// So many entries of a list of steps that may follow take as long as a step.
const ENTRIES_PER_STEP: usize = 8;

/// How often those streams are taken away that none follows, before the others are walked.
const ROUNDS_MAX: usize = 64;

/// Most ways of a kind that are told.
const TOLD_MAX: usize = 20;

/// Imports that lead back to where they began, and of services those that lead through too many accounts.
pub(super) fn faults(accounts: &BTreeMap<String, Account>) -> Vec<Fault> {
    let numbers: HashMap<&str, usize> = (accounts.keys().map(String::as_str)).zip(0..).collect();
    let mut faults = Vec::new();
    for is_service in [false, true] {
        let all = accounts.iter().flat_map(|(name, account)| {
            let imports = account.imports.iter().enumerate();
            imports.map(move |(place, import)| (name.as_str(), place, import))
        });
        let of_kind = all.filter(|(_, _, import)| import.is_service() == is_service);
        let steps = of_kind.filter_map(|(name, place, import)| {
            let (importer, exporter) = (numbers[name], *numbers.get(import.account())?);
            Some(Step::new(name, place, import, importer, exporter))
        });
        let steps: Vec<Step<'_>> = steps.collect();
        let accounts_max = if is_service {
            CHAIN_ACCOUNTS_MAX
        } else {
            usize::MAX
        };
        if is_suspicious(&steps, numbers.len(), accounts_max) {
            let names: Vec<&str> = accounts.keys().map(String::as_str).collect();
            faults.extend(refused(&names, &steps, accounts_max));
        }
    }
    faults
}

/// An import, the way that its messages go.
struct Step<'a> {
    /// The account whose import it is, and which of its imports it is.
    importer: &'a str,
    place: usize,
    import: &'a Import,
    /// Account and pattern.
    from: (usize, &'a str),
    to: (usize, &'a str),
}

impl<'a> Step<'a> {
    fn new(
        name: &'a str,
        place: usize,
        import: &'a Import,
        importer: usize,
        exporter: usize,
    ) -> Self {
        let (local, subject) = ((importer, import.local()), (exporter, import.subject()));
        let (from, to) = match import.is_service() {
            true => (local, subject),
            false => (subject, local),
        };
        Step {
            importer: name,
            place,
            import,
            from,
            to,
        }
    }

    /// Where those subjects lead to that match `pattern`; `None` if it is not for any of them.
    fn carry(&self, pattern: &str) -> Option<String> {
        let those = common(pattern, self.from.1)?;
        let Some(transform) = self.import.transform() else {
            return Some(those);
        };
        let mut out = Vec::new();
        transform.put(those.as_bytes(), &mut out);
        String::from_utf8(out).ok()
    }
}

/// Whether, for all that their accounts tell, steps could lead back or through too many.
fn is_suspicious(steps: &[Step<'_>], accounts: usize, accounts_max: usize) -> bool {
    let mut selves = HashSet::new();
    let mut edges = Vec::with_capacity(steps.len());
    for step in steps {
        match step.from.0 == step.to.0 {
            true if !selves.insert(step.from.0) => return true,
            true => {}
            false => edges.push((step.from.0, step.to.0)),
        }
    }
    edges.sort_unstable();
    edges.dedup();
    // What an account imports from itself makes a way longer.
    let longest = longest(accounts, &edges);
    longest.is_none_or(|longest| longest + selves.len() >= accounts_max)
}

/// The edges of the longest way in a graph; `None` if a way leads back.
fn longest(nodes: usize, edges: &[(usize, usize)]) -> Option<usize> {
    let mut onward: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut before = vec![0_usize; nodes];
    for &(from, to) in edges {
        onward[from].push(to);
        before[to] += 1;
    }
    let mut length = vec![0_usize; nodes];
    let mut free: Vec<usize> = (0..nodes).filter(|node| before[*node] == 0).collect();
    let mut taken = 0;
    while let Some(node) = free.pop() {
        taken += 1;
        for &next in &onward[node] {
            length[next] = length[next].max(length[node] + 1);
            before[next] -= 1;
            if before[next] == 0 {
                free.push(next);
            }
        }
    }
    (taken == nodes).then(|| length.into_iter().max().unwrap_or_default())
}

/// Those of suspicious steps that are refused.
fn refused(names: &[&str], steps: &[Step<'_>], accounts_max: usize) -> Vec<Fault> {
    let is_service = accounts_max < usize::MAX;
    // A way through n accounts has n - 1 steps, and its first step is left when n - 2 times the last was taken.
    let rounds = if is_service {
        accounts_max - 1
    } else {
        ROUNDS_MAX
    };
    let left = leading_on(steps, rounds);
    if left.is_empty() {
        return Vec::new();
    }
    let all: Vec<usize> = (0..steps.len()).collect();
    let mut ways = Ways {
        names,
        steps,
        // A way back is among those that are left, and one that is too long goes on beyond.
        begin: by_beginning(steps, if is_service { &all } else { &left }),
        onward: HashMap::new(),
        accounts_max,
        steps_left: WALK_STEPS_MAX,
    };
    let (mut faults, mut told) = (Vec::new(), HashSet::new());
    for start in left {
        if told.contains(&start) {
            continue;
        }
        let Some((way, why)) = ways.walk(start) else {
            continue;
        };
        let step = &steps[start];
        faults.push(Fault {
            account: step.importer.to_owned(),
            place: Place::Import(step.place),
            text: step.import.wrong(ways.tell(&way, why)).to_string(),
        });
        if matches!(why, Why::TooMany) || faults.len() == TOLD_MAX {
            break;
        }
        told.extend(way);
    }
    faults
}

/// Some steps, by the account and the pattern that they begin with.
fn by_beginning<'a>(steps: &[Step<'a>], some: &[usize]) -> HashMap<usize, Patterns<&'a str>> {
    let mut by_account: HashMap<usize, Vec<(&str, usize)>> = HashMap::new();
    for number in some {
        let (account, pattern) = steps[*number].from;
        by_account
            .entry(account)
            .or_default()
            .push((pattern, *number));
    }
    let patterns = by_account.into_iter();
    patterns
        .map(|(account, patterns)| (account, Patterns::new(patterns)))
        .collect()
}

/// Those that are left when so many times all are taken away that no other one follows.
fn leading_on(steps: &[Step<'_>], rounds: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..steps.len()).collect();
    for _ in 0..rounds {
        let begin = by_beginning(steps, &left);
        let before = left.len();
        left.retain(|step| {
            let (account, pattern) = steps[*step].to;
            let next = begin.get(&account);
            // It may follow itself, and one that is another one is wanted.
            let next = next.map_or(Vec::new(), |patterns| patterns.overlapping(pattern, 2));
            next.iter().any(|next| next != step)
        });
        if left.len() == before {
            break;
        }
    }
    left
}

/// Steps, and which may follow each.
struct Ways<'a> {
    /// Of all accounts, by number.
    names: &'a [&'a str],
    steps: &'a [Step<'a>],
    begin: HashMap<usize, Patterns<&'a str>>,
    /// By account and pattern, the steps whose beginning overlaps that, once they were looked for.
    onward: HashMap<(usize, &'a str), Rc<[usize]>>,
    accounts_max: usize,
    steps_left: usize,
}

impl<'a> Ways<'a> {
    /// The steps that may follow one.
    fn onward(&mut self, step: usize) -> Rc<[usize]> {
        let place = self.steps[step].to;
        if let Some(known) = self.onward.get(&place) {
            return Rc::clone(known);
        }
        let patterns = self.begin.get(&place.0);
        let found = patterns.map_or(Vec::new(), |one| one.overlapping(place.1, usize::MAX));
        self.steps_left = self
            .steps_left
            .saturating_sub(found.len() / ENTRIES_PER_STEP);
        let found: Rc<[usize]> = found.into();
        self.onward.insert(place, Rc::clone(&found));
        found
    }

    /// Follows a step, with the subjects that come that far; the way that is refused, if one is.
    fn walk(&mut self, start: usize) -> Option<(Vec<usize>, Why)> {
        let first = self.steps[start].carry(self.steps[start].from.1)?;
        let mut way = vec![Walked {
            step: start,
            pattern: first,
            onward: self.onward(start),
            looked_at: 0,
        }];
        let mut is_on_way = HashSet::from([start]);
        let refuse = |way: &[Walked], why| Some((way.iter().map(|one| one.step).collect(), why));
        while let Some(last) = way.last_mut() {
            let Some(&next) = last.onward.get(last.looked_at) else {
                is_on_way.remove(&last.step);
                way.pop();
                continue;
            };
            last.looked_at += 1;
            if next == last.step {
                continue;
            }
            let carried = self.steps[next].carry(&last.pattern);
            match self.steps_left.checked_sub(1) {
                Some(left) => self.steps_left = left,
                None => return refuse(&way, Why::TooMany),
            }
            let Some(pattern) = carried else {
                continue;
            };
            if next == start {
                return refuse(&way, Why::Round);
            }
            // A round without the start is found from its own steps.
            if !is_on_way.insert(next) {
                continue;
            }
            way.push(Walked {
                step: next,
                pattern,
                onward: self.onward(next),
                looked_at: 0,
            });
            if way.len() >= self.accounts_max {
                return refuse(&way, Why::TooLong);
            }
        }
        None
    }

    fn tell(&self, way: &[usize], why: Why) -> String {
        let begin = way.iter().map(|step| self.steps[*step].from.0);
        let end = way.last().map(|step| self.steps[*step].to.0);
        let names = begin.chain(end).map(|account| self.names[account]);
        let names = names.collect::<Vec<_>>().join(" -> ");
        match why {
            Why::Round => format!("import forms a cycle; the way is {names}"),
            Why::TooLong => format!(
                "a request would go through more than {CHAIN_ACCOUNTS_MAX} accounts ({names}); import from where it \
                 is answered"
            ),
            Why::TooMany => format!(
                "there are more than {WALK_STEPS_MAX} ways on through the imports of others; import fewer, or narrower \
                 subjects"
            ),
        }
    }
}

/// A step of a way.
struct Walked {
    step: usize,
    /// What it leads to, of what came.
    pattern: String,
    /// Those that may follow, and how many of them were looked at.
    onward: Rc<[usize]>,
    looked_at: usize,
}

/// Why a way is refused.
#[derive(Clone, Copy)]
enum Why {
    Round,
    TooLong,
    TooMany,
}

#[cfg(test)]
mod tests;
