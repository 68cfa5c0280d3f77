//! `Mapping`: one source and its destinations, each with its weight.
//!
//! ```text
//! x: [ {destination: a, weight: 20%}, {destination: b, weight: 30%} ]
//!
//! number below 100   0 ... 19   20 ... 49   50 ... 99
//! goes to            a          b           x           what is missing to 100 stays as it is
//! ```
//!
//! Where the source is one of its own destinations, what is missing to 100 is lost. Destinations of a cluster are for
//! servers in it, and take the place of all others there; their weights are added up by themselves.

use super::error::InvalidMapping;
use super::transform::{Transform, is_blank};
use midge_protocol::subject;
use std::fmt;

/// One mapping: what is published to a subject goes to others.
///
/// ```
/// use midge::{Destination, Mapping};
///
/// let one = Mapping::to("orders.*.*", "by.$2.$1")?;
/// let two = Mapping::new("job", [Destination { weight: 10, ..Destination::to("job.trial") }])?;
/// let config = midge::Config { mappings: vec![one, two], ..midge::Config::default() };
/// assert_eq!(config.mappings[1].to_string(), "job -> [job.trial 10%]");
/// # Ok::<(), midge::InvalidMapping>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mapping {
    source: String,
    /// As they were given.
    destinations: Vec<Destination>,
    main: Choice,
    of_clusters: Vec<(String, Choice)>,
}

/// Where a mapping leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destination {
    /// A subject, in which `$1` or `{{wildcard(1)}}` is the token where the first `*` of the source stands. See README
    /// for the other functions.
    pub subject: String,
    /// How many of a hundred messages go there.
    pub weight: u8,
    /// The cluster in which it is so. `None`: where no destination is for the server's own.
    pub cluster: Option<String>,
}

impl Destination {
    /// One for all messages.
    pub fn to(subject: &str) -> Destination {
        Destination {
            subject: subject.to_owned(),
            weight: 100,
            cluster: None,
        }
    }
}

impl Mapping {
    /// From the subject `source`, in which there may be wildcards.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(
        source: &str,
        destinations: impl IntoIterator<Item = Destination>,
    ) -> Result<Mapping, InvalidMapping> {
        if !subject::is_subscribable(source.as_bytes()) || source.contains(is_blank) {
            return Err(InvalidMapping::Source(source.to_owned()));
        }
        let destinations: Vec<Destination> = destinations.into_iter().collect();
        for (place, one) in destinations.iter().enumerate() {
            let before = &destinations[..place];
            if before.iter().any(|other| other.subject == one.subject) {
                return Err(InvalidMapping::Twice {
                    source: source.to_owned(),
                    destination: one.subject.clone(),
                });
            }
        }
        // One that names its own source, in whatever cluster, says what is to stay.
        let names_source = destinations.iter().any(|one| one.subject == source);
        let choice = |cluster: Option<&str>| {
            let among = destinations
                .iter()
                .filter(|one| one.cluster.as_deref() == cluster);
            Choice::new(source, among, names_source)
        };
        let mut of_clusters: Vec<(String, Choice)> = Vec::new();
        for cluster in destinations.iter().filter_map(|one| one.cluster.as_deref()) {
            if of_clusters.iter().all(|(known, _)| known != cluster) {
                of_clusters.push((cluster.to_owned(), choice(Some(cluster))?));
            }
        }
        Ok(Mapping {
            source: source.to_owned(),
            main: choice(None)?,
            of_clusters,
            destinations,
        })
    }

    /// From the subject `source` to `destination`, all of it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn to(source: &str, destination: &str) -> Result<Mapping, InvalidMapping> {
        Mapping::new(source, [Destination::to(destination)])
    }

    /// The subject that it is from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it leads to, as it was made.
    pub fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// Where it leads to and for which numbers below a hundred, up to which they are: first what holds outside of the
    /// clusters that are named, then what holds in each of them.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&str, u8, Option<&str>)> {
        let main = std::iter::once((None, &self.main));
        let of_clusters = self.of_clusters.iter();
        let all = main.chain(of_clusters.map(|(cluster, choice)| (Some(cluster.as_str()), choice)));
        all.flat_map(|(cluster, choice)| {
            let shares = choice.shares.iter();
            shares.map(move |share| (share.subject.as_str(), share.up_to, cluster))
        })
    }

    pub(super) fn has_wildcard(&self) -> bool {
        subject::has_wildcard(self.source.as_bytes())
    }

    /// Whether it is for messages to `subject`. There a `>` is an ordinary token, but only the `>` of a source stands for
    /// it, as in nats-server.
    pub(super) fn matches(&self, subject: &[u8]) -> bool {
        let source = self.source.as_bytes();
        let tokens = subject::tokens(source)
            .filter(|token| *token != b">")
            .count();
        let mut given = subject::tokens(subject).take(tokens);
        subject::matches(source, subject) && given.all(|token| token != b">")
    }

    /// What it does on a server in this cluster.
    pub(super) fn choice(&self, cluster: Option<&str>) -> &Choice {
        let mut of_clusters = self.of_clusters.iter();
        let own = of_clusters.find(|(name, _)| Some(name.as_str()) == cluster);
        own.map_or(&self.main, |(_, choice)| choice)
    }
}

/// As `-t` and a reload tell it.
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mapping {
            source,
            destinations,
            ..
        } = self;
        match &destinations[..] {
            [
                Destination {
                    subject,
                    weight: 100,
                    cluster: None,
                },
            ] => write!(f, "{source} -> {subject}"),
            _ => {
                let all: Vec<String> = destinations.iter().map(ToString::to_string).collect();
                write!(f, "{source} -> [{}]", all.join(", "))
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination {
            subject,
            weight,
            cluster,
        } = self;
        write!(f, "{subject} {weight}%")?;
        match cluster {
            Some(cluster) => write!(f, " in cluster {cluster}"),
            None => Ok(()),
        }
    }
}

/// Destinations, one of which is chosen for each message. The lightest come first, as in nats-server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Choice {
    shares: Vec<Share>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Share {
    subject: String,
    /// `None` leaves each subject as it is.
    transform: Option<Transform>,
    /// It is for the numbers below this that none before it is for.
    up_to: u8,
}

impl Choice {
    fn new<'d>(
        source: &str,
        destinations: impl Iterator<Item = &'d Destination>,
        names_source: bool,
    ) -> Result<Choice, InvalidMapping> {
        let mut shares = Vec::new();
        let mut total = 0_u8;
        for one in destinations {
            if one.weight > 100 {
                return Err(InvalidMapping::Weight(one.weight));
            }
            let transform = Transform::new(source, &one.subject);
            let transform = transform.map_err(|wrong| InvalidMapping::Destination {
                source: source.to_owned(),
                destination: one.subject.clone(),
                wrong,
            })?;
            shares.push(Share {
                subject: one.subject.clone(),
                transform: Some(transform),
                up_to: one.weight,
            });
            total = total.saturating_add(one.weight);
        }
        if total > 100 {
            return Err(InvalidMapping::TotalWeight {
                source: source.to_owned(),
            });
        }
        if total < 100 && !names_source {
            shares.push(Share {
                subject: itself(source),
                transform: None,
                up_to: 100 - total,
            });
        }
        shares.sort_by_key(|share| share.up_to);
        let mut before = 0;
        for share in &mut shares {
            share.up_to += before;
            before = share.up_to;
        }
        Ok(Choice { shares })
    }

    /// Appends what a message to `subject` is to be published to; nothing if it is to be lost.
    pub(super) fn put(&self, subject: &[u8], draw: impl FnOnce(usize) -> usize, out: &mut Vec<u8>) {
        let chosen = match &self.shares[..] {
            [only] if only.up_to == 100 => Some(only),
            shares => {
                let number = draw(100);
                shares
                    .iter()
                    .find(|share| number < usize::from(share.up_to))
            }
        };
        match chosen.map(|share| &share.transform) {
            Some(Some(transform)) => transform.put(subject, out),
            Some(None) => out.extend_from_slice(subject),
            None => {}
        }
    }
}

/// The destination that leaves each subject that matches `source` as it is, as it would be written.
fn itself(source: &str) -> String {
    let mut wildcards = 0;
    let tokens = source.split('.').map(|token| match token {
        "*" => {
            wildcards += 1;
            format!("${wildcards}")
        }
        _ => token.to_owned(),
    });
    tokens.collect::<Vec<_>>().join(".")
}
