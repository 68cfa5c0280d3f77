//! `Function`: what a token of a destination may be beside text.
//!
//! ```text
//! $1                      {{wildcard(1)}}          the token where the first `*` of the source stands
//! {{partition(10,1,2)}}                            a number below 10, by a hash of these tokens
//! {{split(1,-)}}                                   a-b-c       a.b.c
//! {{splitFromLeft(1,2)}}  {{splitFromRight(1,2)}}  abcdef      ab.cdef     abcd.ef
//! {{sliceFromLeft(1,4)}}  {{sliceFromRight(1,4)}}  abcdef      abcd.ef     ab.cdef
//! {{left(1,2)}}           {{right(1,2)}}           abcdef      ab          ef
//! ```
//!
//! Positions count bytes. A token that is too short for its function is left whole. Names are in any letter case, and
//! blanks may stand anywhere: nats-server takes a few spellings less.

/// One function, by the tokens of the subject that it is of, counted from 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Function {
    Wildcard(usize),
    Partition { below: u32, tokens: Vec<usize> },
    Split { token: usize, at: Box<[u8]> },
    Cut { token: usize, cut: Cut, at: usize },
}

/// What is made of a token, by a number of bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    SplitFromLeft,
    SplitFromRight,
    SliceFromLeft,
    SliceFromRight,
    Left,
    Right,
}

const CUTS: [(&str, Cut); 6] = [
    ("splitfromleft", Cut::SplitFromLeft),
    ("splitfromright", Cut::SplitFromRight),
    ("slicefromleft", Cut::SliceFromLeft),
    ("slicefromright", Cut::SliceFromRight),
    ("left", Cut::Left),
    ("right", Cut::Right),
];

/// The names of all, for one who has written another.
const NAMES: &str = "wildcard, partition, split, splitFromLeft, splitFromRight, sliceFromLeft, sliceFromRight, left or \
                     right";

impl Function {
    /// Reads a token of a destination; `None` if it is text. `wildcards` are the places of each `*` in the source.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(token: &str, wildcards: &[usize]) -> Result<Option<Function>, String> {
        let out_of_range = |number: Option<i64>| {
            let number = number.filter(|_| !wildcards.is_empty());
            let number = number.map_or(String::new(), |number| format!(": [{number}]"));
            let count = match wildcards.len() {
                0 => "no *".to_owned(),
                count => format!("{count} *, counted from 1"),
            };
            format!("wildcard index out of range in {token}{number}; the source has {count}")
        };
        let place = |number: i64| {
            let place = usize::try_from(number - 1).ok();
            let place = place.and_then(|place| wildcards.get(place).copied());
            place.ok_or_else(|| out_of_range(Some(number)))
        };
        if let Some(number) = token.strip_prefix('$') {
            let number = number.parse().ok();
            return number
                .map(|number| place(number).map(Function::Wildcard))
                .transpose();
        }
        let Some(inner) = (token.strip_prefix("{{")).and_then(|rest| rest.strip_suffix("}}"))
        else {
            return Ok(None);
        };
        if inner.trim().is_empty() {
            return Ok(None);
        }
        let unknown = || format!("unknown function in {token}; write one of {NAMES}");
        let (name, arguments) = inner.trim().split_once('(').ok_or_else(unknown)?;
        let arguments = arguments.strip_suffix(')').ok_or_else(unknown)?;
        let name = name.trim().to_ascii_lowercase();
        let cut = CUTS.iter().find(|(known, _)| *known == name);
        let arguments: Vec<&str> = match arguments.trim().is_empty() {
            true => Vec::new(),
            false => arguments.split(',').map(str::trim).collect(),
        };
        let (fewest, most) = match name.as_str() {
            "wildcard" => (1, 1),
            "partition" => (2, usize::MAX),
            "split" => (2, 2),
            _ if cut.is_some() => (2, 2),
            _ => return Err(unknown()),
        };
        if wildcards.is_empty() {
            return Err(out_of_range(None));
        }
        if arguments.len() < fewest {
            return Err(format!(
                "not enough arguments passed to the function in {token}"
            ));
        }
        if arguments.len() > most {
            return Err(format!(
                "too many arguments passed to the function in {token}"
            ));
        }
        let number = |text: &str| {
            let wrong =
                |_| format!("function argument is invalid or in the wrong format in {token}");
            text.parse::<i64>().map_err(wrong)
        };
        if name == "partition" {
            let below = u32::try_from(number(arguments[0])?)
                .ok()
                .filter(|below| *below > 0);
            let below = below.ok_or_else(|| {
                format!("function argument is invalid or in the wrong format in {token}; use 1 partition or more")
            })?;
            let tokens = arguments[1..].iter().map(|text| place(number(text)?));
            let tokens = tokens.collect::<Result<_, _>>()?;
            return Ok(Some(Function::Partition { below, tokens }));
        }
        let token = place(number(arguments[0])?)?;
        Ok(Some(match cut {
            Some((_, cut)) => Function::Cut {
                token,
                cut: *cut,
                // From the first byte on there is nothing to be cut off.
                at: usize::try_from(number(arguments[1])?).unwrap_or(0),
            },
            None if name == "split" => Function::Split {
                token,
                at: arguments[1].as_bytes().into(),
            },
            None => Function::Wildcard(token),
        }))
    }

    /// Appends what it makes of the tokens of a subject: one token or more, none of them empty if those are not.
    pub(super) fn put<'s>(&self, token: impl Fn(usize) -> &'s [u8], out: &mut Vec<u8>) {
        match self {
            Function::Wildcard(place) => out.extend_from_slice(token(*place)),
            Function::Partition { below, tokens } => {
                let bytes = tokens.iter().flat_map(|place| token(*place));
                let number = fnv_1a(bytes.copied()) % below;
                out.extend_from_slice(midge_protocol::Decimal::new(number.into()).as_bytes());
            }
            Function::Split { token: place, at } => split(token(*place), at, out),
            Function::Cut {
                token: place,
                cut,
                at,
            } => cut.put(token(*place), *at, out),
        }
    }
}

/// Reads a token that may name a wildcard of a source with this many `*`, as `$1` and `{{wildcard(1)}}` do: which one,
/// counted from 0. `None` if it is text.
///
/// # Errors
/// What is wrong with it; also that it is another function.
pub(crate) fn wildcard(token: &str, wildcards: usize) -> Result<Option<usize>, String> {
    let numbers: Vec<usize> = (0..wildcards).collect();
    match Function::read(token, &numbers)? {
        None => Ok(None),
        Some(Function::Wildcard(number)) => Ok(Some(number)),
        Some(_) => Err(format!(
            "the only mapping function allowed for import transforms is {{{{Wildcard()}}}} in {token}"
        )),
    }
}

impl Cut {
    fn put(self, token: &[u8], at: usize, out: &mut Vec<u8>) {
        if at == 0 || at >= token.len() {
            return out.extend_from_slice(token);
        }
        let rest = token.len() - at;
        match self {
            Cut::SplitFromLeft => put_tokens([&token[..at], &token[at..]].into_iter(), out),
            Cut::SplitFromRight => put_tokens([&token[..rest], &token[rest..]].into_iter(), out),
            Cut::SliceFromLeft => put_tokens(token.chunks(at), out),
            Cut::SliceFromRight => {
                let (first, others) = token.split_at(token.len() % at);
                let first = std::iter::once(first).filter(|first| !first.is_empty());
                put_tokens(first.chain(others.chunks(at)), out);
            }
            Cut::Left => out.extend_from_slice(&token[..at]),
            Cut::Right => out.extend_from_slice(&token[rest..]),
        }
    }
}

/// Splits a token where `at` stands, which then is left out; at each character, if that is empty. A token of nothing
/// else is left whole: nats-server loses the message.
fn split(token: &[u8], at: &[u8], out: &mut Vec<u8>) {
    if at.is_empty() {
        let characters = token.utf8_chunks().flat_map(|chunk| {
            let valid = chunk.valid().split_inclusive(|_: char| true);
            let invalid = chunk.invalid().chunks(1);
            valid.map(str::as_bytes).chain(invalid)
        });
        return put_tokens(characters, out);
    }
    let before = out.len();
    let mut rest = token;
    while !rest.is_empty() {
        let next = memchr::memmem::find(rest, at);
        let (part, behind) = match next {
            Some(next) => (&rest[..next], &rest[next + at.len()..]),
            None => (rest, &[][..]),
        };
        if !part.is_empty() {
            if out.len() > before {
                out.push(b'.');
            }
            out.extend_from_slice(part);
        }
        rest = behind;
    }
    if out.len() == before {
        out.extend_from_slice(token);
    }
}

/// Appends tokens, with dots between them.
fn put_tokens<'t>(tokens: impl Iterator<Item = &'t [u8]>, out: &mut Vec<u8>) {
    for (place, token) in tokens.enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(token);
    }
}

/// The hash of nats-server's partitions: FNV-1a of 32 bits. Messages of one key are to go the same way whichever
/// server they come to.
fn fnv_1a(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
