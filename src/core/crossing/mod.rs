//! Crossings: messages that come from one account to another, by what the one exports and the other imports.
//!
//! ```text
//! importer                                exporter
//! request  svc ──▶ border ── import ──▶   svc     reply _R_.Zm3xQe.a7Kd0P, its importer in a header
//! answer   inbox  ◀──── response ──────── border ◀── _R_.Zm3xQe.*
//!
//! stream   to ◀─────────── import ─────── border ◀── subject
//! ```
//!
//! The *border* of an account is a receiver without a connection. Each import is a subscription of a border: that of a
//! service in the importer, that of a stream in the exporter; one more is for answers. So a message finds its crossings
//! on the way of all messages, nothing is looked up for one that has none, and what is resolved of an import
//! is resolved when it is made.
//!
//! Delivery gives a border no copy. It notes the crossing, and when all others have theirs, makes the message
//! anew as it is on the other side, and delivers it there ([`delivery`](crate::core::delivery)). A service's messages are as
//! if they had been published there, up to [`CROSSED_MAX`] accounts one behind the other. A stream's go to clients only.
//! Who asks waits for receivers that are far behind, as in its own account. Who answers, or publishes to a stream, does
//! not: an account that imports could hold one that exports.
//!
//! * `responses`: answers that are awaited; `header`: what a request tells of who asks, and `about`: of a client
//! * `latency`: how long services take

mod about;
mod header;
mod latency;
mod responses;

use crate::core::Core;
use crate::core::accounts::AccountId;
use crate::core::origin::{Origin, Role};
use crate::core::receiver::Kind;
use crate::core::sublist::{ReceiverId, SubId};
use crate::mapping::{Patterns, Transform};
pub(crate) use about::About;
use hashbrown::HashMap;
use header::Requester;
pub(crate) use latency::{MEASURED_MAX, Measured, Measuring, Outcome, Sample};
use midge_protocol::{Publish, Redirected};
use midge_reactor::Time;
use responses::{Awaited, Reply, Responses};
pub(crate) use responses::{ResponseTerms, Token};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Accounts that a message may come through. Settings in which it might be more are refused.
pub(crate) const CROSSED_MAX: u8 = 16;

/// Former imports that are looked at for one that is wanted.
const LOOKED_AT: usize = 64;

/// The sid of the subscription by which a border gets answers. Imports are counted from 1.
const ANSWERS: u64 = 0;

/// What an account imports of another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub exporter: AccountId,
    /// What is subscribed to: of a service the subject in the importer, of a stream that in the exporter.
    pub subject: &'a [u8],
    /// From that to the subject on the other side, where it is another one.
    pub transform: Option<&'a Transform>,
    pub kind: ImportKind,
    /// Whether a request tells which client asks.
    pub is_told: bool,
    /// The percent of the requests whose latency is told, and where.
    pub measuring: Option<(u8, &'a str)>,
}

/// What crosses from one account to another.
#[derive(Debug)]
struct Import {
    exporter: AccountId,
    importer: AccountId,
    transform: Option<Transform>,
    kind: ImportKind,
    is_told: bool,
    measuring: Option<Arc<Measuring>>,
    subscription: SubId,
}

/// What is imported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ImportKind {
    Stream,
    Service(ResponseTerms),
}

impl ImportKind {
    /// The account in which such an import subscribes, and that to which messages cross.
    fn ends(self, importer: AccountId, exporter: AccountId) -> (AccountId, AccountId) {
        match self {
            ImportKind::Stream => (exporter, importer),
            ImportKind::Service(_) => (importer, exporter),
        }
    }
}

/// A service, as a request comes to it.
struct Service {
    there: AccountId,
    terms: ResponseTerms,
    is_told: bool,
    measuring: Option<Arc<Measuring>>,
}

impl Import {
    fn measuring(&self) -> Option<(u8, &str)> {
        let measuring = self.measuring.as_ref();
        measuring.map(|one| (one.percent, &*one.subject))
    }

    fn ends(&self) -> (AccountId, AccountId) {
        self.kind.ends(self.importer, self.exporter)
    }
}

/// All imports.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// By its number, which is never used again.
    imports: HashMap<u64, Import, foldhash::fast::RandomState>,
    made: u64,
    /// Used again for each crossing.
    subject: Vec<u8>,
    mapped: Vec<u8>,
    reply: Vec<u8>,
    header: Vec<u8>,
    line: Vec<u8>,
    /// What is told of clients, of those of accounts that tell it.
    about: HashMap<ReceiverId, Box<About>, foldhash::fast::RandomState>,
    /// Samples that wait for an answer: when their time is over, in which account, and by which token.
    timed: BTreeSet<(Time, AccountId, Token)>,
}

/// The side of an account that others see.
#[derive(Debug)]
pub(crate) struct Border {
    receiver: ReceiverId,
    /// The name of the account as JSON.
    quoted: Box<str>,
    /// What a request tells of this account, whose client has had this round trip.
    line: Vec<u8>,
    line_is_for: Option<u32>,
    /// Its own imports that tell of clients, and imports of others that tell of clients here who answer.
    told: usize,
    responses: Responses,
    /// By which answers come.
    answers: Option<SubId>,
    /// Of the imports that this account makes, the numbers.
    own: Vec<u64>,
    /// Of those the services, by their subjects here, with their places; made when somebody asks.
    services: OnceCell<Box<Patterns<Box<str>>>>,
    /// How many imports subscribe in this account.
    subscribed: usize,
}

/// A message as it is on the other side.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Where it comes from there.
    pub origin: Origin,
    /// The answer that is awaited, if one is.
    pub awaited: Option<Token>,
}

impl Core {
    /// An account imports these, in place of what it has imported. What is among both in the same order stays as it is.
    ///
    /// Cost: a comparison of each, where nothing has changed; of each with [`LOOKED_AT`] others at most.
    pub(crate) fn import(&mut self, importer: AccountId, wanted: &[Wanted<'_>]) {
        let own = match &mut self.accounts[importer].border {
            Some(border) => {
                border.services.take();
                std::mem::take(&mut border.own)
            }
            None => Vec::new(),
        };
        let mut former: Vec<Option<u64>> = own.into_iter().map(Some).collect();
        let (mut kept, mut next) = (Vec::with_capacity(wanted.len()), 0);
        for one in wanted {
            // In most cases all are as they were, or all but those behind some that have gone.
            let places = next..former.len().min(next + LOOKED_AT);
            let mut places = places.filter(|place| former[*place].is_some());
            let is_it = |place: &usize| former[*place].is_some_and(|old| self.is_import(old, one));
            kept.push(match places.find(is_it) {
                Some(place) => {
                    next = place + 1;
                    former[place].take().expect("it was found")
                }
                None => self.begin_import(importer, one),
            });
        }
        for number in former.into_iter().flatten() {
            self.end_import(number);
        }
        if !kept.is_empty() {
            self.border(importer).own = kept;
        }
        self.close_border_if_over(importer);
    }

    /// Looks at services that an account imports under subjects that overlap `pattern`: from which account, under which
    /// subject, and what becomes of that. Answers how much work that was; more than `work_max` if not all was looked at.
    ///
    /// Cost: that work, some 100 nanoseconds each, and the first time since the account imports these a place for each token
    /// of all.
    pub(crate) fn each_service_overlapping<'a>(
        &'a self,
        importer: AccountId,
        pattern: &str,
        work_max: usize,
        mut look: impl FnMut(AccountId, &'a [u8], Option<&'a Transform>),
    ) -> usize {
        let place = &self.accounts[importer];
        let Some(border) = &place.border else {
            return 0;
        };
        let import = |number: &u64| self.imports.imports.get(number);
        let local = |one: &Import| place.sublist.subject(one.subscription);
        let services = border.services.get_or_init(|| {
            let all = border.own.iter().enumerate();
            let all = all.filter_map(|(place, number)| Some((import(number)?, place)));
            let services = all.filter(|(one, _)| one.kind != ImportKind::Stream);
            let pairs =
                services.filter_map(|(one, place)| Some((str::from_utf8(local(one)).ok()?, place)));
            Box::new(Patterns::new(pairs))
        });
        let (found, work) = services.overlapping_within(pattern, usize::MAX, work_max);
        let found = found.into_iter();
        let found = found.filter_map(|place| import(border.own.get(place)?));
        found.for_each(|one| look(one.exporter, local(one), one.transform.as_ref()));
        work
    }

    /// Whether the import of a number is this one.
    fn is_import(&self, number: u64, wanted: &Wanted<'_>) -> bool {
        let Some(import) = self.imports.imports.get(&number) else {
            return false;
        };
        let is_same = import.exporter == wanted.exporter
            && import.kind == wanted.kind
            && import.is_told == wanted.is_told
            && import.measuring() == wanted.measuring
            && import.transform.as_ref() == wanted.transform;
        let (from, _) = import.ends();
        let subject = |from| self.accounts[from].sublist.subject(import.subscription);
        is_same && subject(from) == wanted.subject
    }

    fn begin_import(&mut self, importer: AccountId, wanted: &Wanted<'_>) -> u64 {
        self.imports.made += 1;
        let number = self.imports.made;
        let (from, to) = wanted.kind.ends(importer, wanted.exporter);
        let border = self.border(from);
        border.subscribed += 1;
        let (receiver, sid) = (border.receiver, number.to_le_bytes());
        self.subscribe(receiver, wanted.subject, None, &sid);
        let subscription = self.subscription_of(receiver, &sid);
        let import = Import {
            exporter: wanted.exporter,
            importer,
            transform: wanted.transform.cloned(),
            kind: wanted.kind,
            is_told: wanted.is_told,
            measuring: wanted.measuring.map(|(percent, subject)| {
                Arc::new(Measuring {
                    percent,
                    subject: subject.into(),
                })
            }),
            subscription: subscription.expect("it was made"),
        };
        if import.is_told {
            self.border(from).told += 1;
        }
        if import.measuring.is_some() {
            self.border(to).told += 1;
        }
        self.accounts[to].reached += 1;
        self.imports.imports.insert(number, import);
        number
    }

    fn end_import(&mut self, number: u64) {
        let Some(import) = self.imports.imports.remove(&number) else {
            return;
        };
        let (from, to) = import.ends();
        let border = self.border(from);
        border.subscribed -= 1;
        border.told -= usize::from(import.is_told);
        let receiver = border.receiver;
        self.unsubscribe(receiver, import.subscription);
        self.close_border_if_over(from);
        if import.measuring.is_some() {
            self.border(to).told -= 1;
        }
        self.accounts[to].reached -= 1;
        self.close_border_if_over(to);
        self.accounts.close_if_over(to);
    }

    /// The border of an account, which is there from here on.
    fn border(&mut self, account: AccountId) -> &mut Border {
        if self.accounts[account].border.is_none() {
            let receiver = self.join_part(Kind::Border, account);
            let random = self.accounts[account].random.branch();
            let border = Border {
                receiver,
                quoted: header::quoted(&self.accounts[account].name),
                line: Vec::new(),
                line_is_for: None,
                told: 0,
                responses: Responses::new(random),
                answers: None,
                own: Vec::new(),
                services: OnceCell::new(),
                subscribed: 0,
            };
            self.accounts[account].border = Some(Box::new(border));
        }
        let border = self.accounts[account].border.as_mut();
        border.expect("it was made")
    }

    /// Nothing crosses there any more, and no answer is awaited: the border goes.
    fn close_border_if_over(&mut self, account: AccountId) {
        let place = &mut self.accounts[account];
        let is_over = |border: &mut Box<Border>| border.own.is_empty() && border.subscribed == 0;
        // While something is reached here, answers may be awaited.
        let is_reached = place.reached > 0;
        let Some(border) = place
            .border
            .take_if(|border| !is_reached && is_over(border))
        else {
            return;
        };
        if let Some(answers) = border.answers {
            self.unsubscribe(border.receiver, answers);
        }
        self.remove_receiver(border.receiver);
        self.accounts.close_if_over(account);
    }

    /// Makes `message`, which has come from `from` to the border of its account, anew as it is on the other side.
    /// `None` if it ends here.
    pub(crate) fn cross(
        &mut self,
        from: &Origin,
        number: u64,
        message: &Publish<'_>,
        made: &mut Redirected,
    ) -> Option<Arrival> {
        if from.crossed >= CROSSED_MAX {
            return None;
        }
        match number {
            ANSWERS => self.answer(from, message, made),
            number => self.cross_by_import(from, number, message, made),
        }
    }

    fn cross_by_import(
        &mut self,
        from: &Origin,
        number: u64,
        message: &Publish<'_>,
        made: &mut Redirected,
    ) -> Option<Arrival> {
        let import = self.imports.imports.get(&number)?;
        let (here, there) = import.ends();
        debug_assert_eq!(here, from.account);
        let mut subject = std::mem::take(&mut self.imports.subject);
        subject.clear();
        match &import.transform {
            Some(transform) => transform.put(message.subject(), &mut subject),
            None => subject.extend_from_slice(message.subject()),
        }
        let (kind, is_told) = (import.kind, import.is_told && from.is_told);
        let measuring = import.measuring.clone();
        let arrival = match kind {
            ImportKind::Stream => {
                made.set(message, &subject);
                let origin = Origin {
                    role: Role::Stream,
                    is_held: false,
                    ..arriving(from, there)
                };
                Some(Arrival {
                    origin,
                    awaited: None,
                })
            }
            ImportKind::Service(terms) => {
                let service = Service {
                    there,
                    terms,
                    is_told,
                    measuring,
                };
                self.request(from, service, message, &mut subject, made)
            }
        };
        self.imports.subject = subject;
        arrival
    }

    /// A request comes to the account that serves it: by the mappings there, and with a reply subject that leads back.
    fn request(
        &mut self,
        from: &Origin,
        service: Service,
        message: &Publish<'_>,
        subject: &mut Vec<u8>,
        made: &mut Redirected,
    ) -> Option<Arrival> {
        let Service {
            there,
            terms,
            is_told,
            measuring,
        } = service;
        let account = &mut self.accounts[there];
        if !account.mappings.is_empty() {
            let (mappings, random) = (&account.mappings, &mut account.random);
            let mapped = &mut self.imports.mapped;
            if mappings
                .map(subject, |bound| random.below(bound), mapped)
                .is_mapped
            {
                std::mem::swap(subject, mapped);
            }
        }
        let is_plain = from.crossed == 0 && !is_told;
        if is_plain {
            self.put_plain_line(from);
        } else {
            self.put_line(from, is_told);
        }
        let border = self.accounts[from.account].border.as_ref();
        let line = match border {
            Some(border) if is_plain => &border.line,
            _ => &self.imports.line,
        };
        let mut header = std::mem::take(&mut self.imports.header);
        header.clear();
        header::put(message.header(), line, &mut header);
        let sample = match &measuring {
            None => None,
            Some(measuring) => {
                let told: Box<[u8]> = header::told(line).into();
                self.sample(from, there, measuring, message, (&told, terms.threshold))
            }
        };
        let awaited = match message.reply() {
            Some(_) => self.await_for(from, there, message.reply(), terms, sample)?,
            None => {
                if let Some(sample) = sample {
                    self.measured(None, sample, Outcome::NoReply);
                }
                None
            }
        };
        let reply = awaited.is_some().then_some(&*self.imports.reply);
        made.set_with(message, subject, reply, &header);
        self.imports.header = header;
        Some(Arrival {
            origin: Origin {
                is_told,
                ..arriving(from, there)
            },
            awaited,
        })
    }

    /// The line of an account whose client tells no more than its account and its round trip is as it was for the last.
    fn put_plain_line(&mut self, from: &Origin) {
        let client = self.receivers.get(from.receiver.0 as usize);
        let round_trip = client.map_or(0, |client| client.round_trip);
        if let Some(border) = &mut self.accounts[from.account].border
            && border.line_is_for != Some(round_trip)
        {
            let requester = Requester {
                account: &border.quoted,
                service: None,
                round_trip,
                about: None,
            };
            requester.put_line(&mut border.line);
            border.line_is_for = Some(round_trip);
        }
    }

    #[cold]
    fn put_line(&mut self, from: &Origin, is_told: bool) {
        let mut line = std::mem::take(&mut self.imports.line);
        line.clear();
        if let Some(requester) = self.requester(from, is_told) {
            requester.put_line(&mut line);
        }
        self.imports.line = line;
    }

    /// An answer in `account` is to lead back: puts the reply subject for it into the one that is used for all. `None` if
    /// there is no place for it.
    fn await_answer(&mut self, account: AccountId, back: Awaited) -> Option<Token> {
        let now = self.clock.now();
        let border = self.border(account);
        let until = back.sample.as_ref().map(|_| now + back.terms.threshold);
        let token = border.responses.put(back, now)?;
        if !border.responses.lost.is_empty() {
            self.lose_samples(account);
        }
        if let Some(until) = until {
            self.time(token, until, account);
        }
        let border = self.border(account);
        if border.answers.is_none() {
            let (receiver, subject) = (border.receiver, border.responses.subject());
            let sid = ANSWERS.to_le_bytes();
            self.subscribe(receiver, &subject, None, &sid);
            let answers = self.subscription_of(receiver, &sid);
            self.border(account).answers = answers;
        }
        let Core {
            accounts, imports, ..
        } = self;
        if let Some(border) = &accounts[account].border {
            border.responses.write(token, &mut imports.reply);
        }
        Some(token)
    }

    /// The same for a message with a reply subject, in another account than that of `from`.
    fn await_for(
        &mut self,
        from: &Origin,
        there: AccountId,
        reply: Option<&[u8]>,
        terms: ResponseTerms,
        sample: Option<Box<Sample>>,
    ) -> Option<Option<Token>> {
        let Some(reply) = reply else {
            return Some(None);
        };
        let back = Awaited {
            account: self.accounts.born(from.account),
            reply: Reply::new([reply]),
            terms,
            sample,
        };
        self.await_answer(there, back).map(Some)
    }

    /// An answer has come to a border: it goes to the one who has asked.
    fn answer(
        &mut self,
        from: &Origin,
        message: &Publish<'_>,
        made: &mut Redirected,
    ) -> Option<Arrival> {
        let now = self.clock.now();
        let border = self.accounts[from.account].border.as_mut()?;
        let is_last = message.body_bytes() == 0;
        let taken = border.responses.take(message.subject(), now, is_last);
        if !border.responses.lost.is_empty() {
            self.lose_samples(from.account);
        }
        let (token, mut back) = taken?;
        if let Some(sample) = back.sample.take() {
            self.answered(token, sample, from);
        }
        if !self.accounts.is_open(back.account) {
            return None;
        }
        let there = back.account.id;
        // The talk may go on: an answer to the answer leads back here.
        let awaited = self.await_for(from, there, message.reply(), back.terms, None)?;
        let reply = awaited.is_some().then_some(&*self.imports.reply);
        made.set_reply(message, back.reply.as_slice(), reply);
        let origin = Origin {
            is_held: false,
            // Who answers has shared nothing with those whom the answer may come to.
            is_told: false,
            ..arriving(from, there)
        };
        Some(Arrival { origin, awaited })
    }

    /// Each import has its subscription, and what is counted of them is right.
    pub(super) fn crossing_invariants(&self) {
        let mut reached = HashMap::<AccountId, u32>::default();
        let mut subscribed = HashMap::<AccountId, usize>::default();
        for import in self.imports.imports.values() {
            let (from, to) = import.ends();
            *reached.entry(to).or_default() += 1;
            *subscribed.entry(from).or_default() += 1;
            let border = self.accounts[from].border.as_ref();
            let one = self.accounts[from].sublist.get(import.subscription);
            assert_eq!(
                one.map(|one| one.receiver),
                border.map(|border| border.receiver)
            );
        }
        for account in self.accounts.ids() {
            let (one, of) = (&self.accounts[account], |counts: Option<&u32>| {
                counts.copied().unwrap_or(0)
            });
            assert_eq!(one.reached, of(reached.get(&account)), "{:?}", one.name);
            let border = one.border.as_ref();
            let count = border.map_or(0, |border| border.subscribed);
            assert_eq!(count, subscribed.get(&account).copied().unwrap_or(0));
        }
    }

    /// Answers that are awaited in an account.
    #[cfg(test)]
    pub(crate) fn awaited_answers(&self, account: AccountId) -> usize {
        let border = self.accounts[account].border.as_ref();
        border.map_or(0, |border| border.responses.len())
    }

    /// What has arrived in `account` had no receiver: no answer is awaited.
    pub(crate) fn await_none(&mut self, account: AccountId, token: Token) {
        let Some(border) = &mut self.accounts[account].border else {
            return;
        };
        let over = border.responses.end(token);
        if let Some(sample) = over.and_then(|one| one.sample) {
            self.measured(Some(token), sample, Outcome::NoResponder);
        }
    }
}

/// Where a message comes from when it arrives `there`.
fn arriving(from: &Origin, there: AccountId) -> Origin {
    Origin {
        account: there,
        crossed: from.crossed + 1,
        ..*from
    }
}
