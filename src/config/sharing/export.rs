//! `Export`: what an account offers to others.

use super::is_subject;
use crate::config::duration::show;
use midge_protocol::subject;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What an account offers to others: the messages to a subject, or answers to requests there.
///
/// ```
/// use midge::{Account, Export};
///
/// let account = Account {
///     exports: vec![Export::stream("pub.>")?, Export::service("svc")?.only_for(["B"])?],
///     ..Account::default()
/// };
/// assert_eq!(account.exports[1].to_string(), "{service: svc, accounts: [B]}");
/// # Ok::<(), midge::InvalidExport>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Export {
    subject: String,
    kind: ExportKind,
    accounts: Option<Vec<String>>,
    account_token_position: Option<usize>,
    /// Whether an importer needs an activation, as only tokens of accounts say.
    activations: Option<Revoked>,
}

/// Importers, by name or all as `*`, whose activations are no good if they were made in this second or before.
pub(crate) type Revoked = BTreeMap<String, i64>;

/// What is offered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExportKind {
    /// Messages, from the exporter to the importers.
    Stream,
    /// Answers to requests of the importers.
    Service(Service),
}

/// How a service answers. The default is one answer within two minutes, and nothing is measured.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Service {
    /// How many messages answer a request (`response_type`).
    pub response: Response,
    /// How long an answer is waited for (`response_threshold`). Default: two minutes.
    pub threshold: Option<Duration>,
    /// Where it is told how long answers took (`latency`). Default: nowhere.
    pub latency: Option<Latency>,
}

/// How many messages answer a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Response {
    /// One.
    #[default]
    Singleton,
    /// Any number, up to an empty one.
    Stream,
    /// One in parts, up to an empty one.
    Chunked,
}

/// Of which requests it is told how long they took, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Latency {
    /// Of which requests.
    pub sampling: Sampling,
    /// The subject that it is told to, in the exporter's account.
    pub subject: String,
}

/// Of which requests it is told how long they took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sampling {
    /// Of this number of a hundred, 1 to 100.
    Percent(u8),
    /// Of those whose headers ask for it, as traces do.
    Headers,
}

impl Export {
    /// Offers the messages to `subject`, in which there may be wildcards, to all accounts.
    ///
    /// # Errors
    /// No subject.
    pub fn stream(subject: &str) -> Result<Export, InvalidExport> {
        Export::new(subject, ExportKind::Stream)
    }

    /// Offers all accounts one answer to each request to `subject`, in which there may be wildcards.
    ///
    /// # Errors
    /// No subject.
    pub fn service(subject: &str) -> Result<Export, InvalidExport> {
        Export::new(subject, ExportKind::Service(Service::default()))
    }

    /// Offers it to all accounts.
    ///
    /// # Errors
    /// No subject; a subject for latency that cannot be published to, or a number of percent that is none; latency of
    /// a service that does not answer once.
    pub fn new(subject: &str, kind: ExportKind) -> Result<Export, InvalidExport> {
        let export = Export {
            subject: subject.to_owned(),
            kind,
            accounts: None,
            account_token_position: None,
            activations: None,
        };
        if !is_subject(subject) {
            return Err(export.wrong(
                "sublist: invalid subject; it has no blanks, no empty token, and > at its end only",
            ));
        }
        if let ExportKind::Service(service) = &export.kind
            && let Some(latency) = &service.latency
        {
            let wrong = |wrong| InvalidExport::Latency {
                service: subject.to_owned(),
                subject: latency.subject.clone(),
                wrong,
            };
            let is_literal = subject::is_literal_form(latency.subject.as_bytes());
            if !is_literal || !is_subject(&latency.subject) {
                return Err(wrong(
                    "invalid publish subject; it has no wildcards, no blanks and no empty token",
                ));
            }
            if service.response != Response::Singleton {
                return Err(wrong(
                    "bad service response type; only that of one answer, singleton, is measured",
                ));
            }
            if let Sampling::Percent(0 | 101..) = latency.sampling {
                return Err(InvalidExport::Sampling);
            }
        }
        Ok(export)
    }

    /// Offers it to these accounts only.
    ///
    /// # Errors
    /// No account is named: then no one could import it.
    pub fn only_for(
        mut self,
        accounts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Export, InvalidExport> {
        let accounts: Vec<String> = accounts.into_iter().map(Into::into).collect();
        if accounts.is_empty() {
            return Err(self.wrong(
                "the list of accounts is empty; leave it out for all accounts, or name one",
            ));
        }
        self.accounts = Some(accounts);
        Ok(self)
    }

    /// Offers it to the accounts of `other` too, if that is the same but for those; else gives it back.
    #[cfg(feature = "command")]
    pub(crate) fn join(&mut self, other: Export) -> Result<(), Box<Export>> {
        let is_same = self.subject == other.subject
            && self.kind == other.kind
            && self.account_token_position == other.account_token_position;
        match (&mut self.accounts, other.accounts) {
            (Some(own), Some(others)) if is_same => {
                own.extend(others);
                Ok(())
            }
            (_, accounts) => Err(Box::new(Export { accounts, ..other })),
        }
    }

    /// Offers it to each account under its own name: that is the token at `position`, counted from 1, of what it
    /// imports.
    ///
    /// # Errors
    /// There is no `*` at that place of the subject.
    pub fn with_account_token(mut self, position: usize) -> Result<Export, InvalidExport> {
        let place = position.checked_sub(1);
        let token = place.and_then(|place| self.subject.split('.').nth(place));
        if token != Some("*") {
            return Err(self.wrong(
                "sublist: invalid subject; account_token_position tells the place of a * in it, counted from 1",
            ));
        }
        self.account_token_position = Some(position);
        Ok(self)
    }

    /// Offers it to those accounts only that have an activation for it, which is not revoked.
    pub(super) fn with_activations(self, revoked: Revoked) -> Export {
        Export {
            activations: Some(revoked),
            ..self
        }
    }

    /// What is offered.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether it is messages or answers, and how those come.
    pub fn kind(&self) -> &ExportKind {
        &self.kind
    }

    /// Whom it is offered to. `None`: all accounts.
    pub fn accounts(&self) -> Option<&[String]> {
        self.accounts.as_deref()
    }

    /// Which token of the subject is the importer's name, counted from 1.
    pub fn account_token_position(&self) -> Option<usize> {
        self.account_token_position
    }

    /// Which activations are no good any more. `None`: no importer needs one.
    pub(crate) fn activations(&self) -> Option<&Revoked> {
        self.activations.as_ref()
    }

    pub(crate) fn is_service(&self) -> bool {
        matches!(self.kind, ExportKind::Service(_))
    }

    /// As files call it.
    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            ExportKind::Stream => "stream",
            ExportKind::Service(_) => "service",
        }
    }

    /// What is told of it.
    pub(super) fn wrong(&self, wrong: &'static str) -> InvalidExport {
        InvalidExport::Export {
            kind: self.word(),
            subject: self.subject.clone(),
            wrong,
        }
    }
}

/// As it stands in a file.
impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}: {}", self.word(), self.subject)?;
        if let ExportKind::Service(service) = &self.kind {
            match service.response {
                Response::Singleton => {}
                Response::Stream => write!(f, ", response_type: stream")?,
                Response::Chunked => write!(f, ", response_type: chunked")?,
            }
            if let Some(threshold) = service.threshold {
                write!(f, ", response_threshold: {}", show(threshold))?;
            }
            if let Some(latency) = &service.latency {
                write!(f, ", latency: {latency}")?;
            }
        }
        if let Some(accounts) = &self.accounts {
            write!(f, ", accounts: [{}]", accounts.join(", "))?;
        }
        if let Some(position) = self.account_token_position {
            write!(f, ", account_token_position: {position}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sampling {
            Sampling::Headers => f.write_str("{sampling: headers")?,
            Sampling::Percent(percent) => write!(f, "{{sampling: {percent}%")?,
        }
        write!(f, ", subject: {}}}", self.subject)
    }
}

/// Why something is no export. Prints as a line that names it; the texts begin as those of nats-server do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidExport {
    /// The subject, or whom it is for.
    Export {
        /// `stream` or `service`.
        kind: &'static str,
        /// What was to be offered.
        subject: String,
        /// What is wrong, and what to write.
        wrong: &'static str,
    },
    /// Where it is to be told how long answers took.
    Latency {
        /// What was to be offered.
        service: String,
        /// Where it was to be told.
        subject: String,
        /// What is wrong, and what to write.
        wrong: &'static str,
    },
    /// A number of percent that is not from 1 to 100.
    Sampling,
}

impl fmt::Display for InvalidExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidExport::Export {
                kind,
                subject,
                wrong,
            } => write!(f, "Error adding {kind} export {subject:?}: {wrong}"),
            InvalidExport::Latency {
                service,
                subject,
                wrong,
            } => write!(
                f,
                "Error adding service latency sampling for {service:?} on subject {subject:?}: {wrong}"
            ),
            InvalidExport::Sampling => f.write_str("bad sampling percentage, should be 1-100"),
        }
    }
}

impl std::error::Error for InvalidExport {}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(response: Response, sampling: Sampling, subject: &str) -> ExportKind {
        ExportKind::Service(Service {
            response,
            threshold: None,
            latency: Some(Latency {
                sampling,
                subject: subject.to_owned(),
            }),
        })
    }

    #[test]
    fn an_export_is_shown_as_it_is_written() {
        let plain = Export::stream("a.>").expect("it is right");
        assert_eq!(plain.to_string(), "{stream: a.>}");
        let kind = measured(Response::Singleton, Sampling::Percent(50), "l");
        let whole = Export::new("a.*", kind).and_then(|one| one.only_for(["B", "C"]));
        let whole = whole.and_then(|one| one.with_account_token(2));
        assert_eq!(
            whole.expect("it is right").to_string(),
            "{service: a.*, latency: {sampling: 50%, subject: l}, accounts: [B, C], account_token_position: 2}"
        );
        let kind = ExportKind::Service(Service {
            response: Response::Chunked,
            threshold: Some(Duration::from_millis(1500)),
            latency: None,
        });
        let slow = Export::new("a", kind).expect("it is right");
        assert_eq!(
            slow.to_string(),
            "{service: a, response_type: chunked, response_threshold: 1.5s}"
        );
    }

    #[test]
    fn what_is_no_export_is_told_with_what_to_write() {
        for subject in ["", "a..b", "a.>.b", "a b"] {
            let wrong = Export::stream(subject).expect_err("no subject").to_string();
            let begin = format!("Error adding stream export {subject:?}: sublist: invalid subject");
            assert!(wrong.starts_with(&begin), "{wrong}");
        }
        for (subject, position) in [("a.*", 0), ("a.*", 1), ("a.*", 3), ("a.>", 2), ("a", 1)] {
            let export = Export::service(subject).expect("it is right");
            let wrong = export.with_account_token(position);
            let wrong = wrong.expect_err("no * there").to_string();
            assert!(wrong.contains("account_token_position"), "{wrong}");
        }
        let nobody = Export::stream("a").and_then(|one| one.only_for([""; 0]));
        let wrong = nobody.expect_err("for nobody").to_string();
        assert!(wrong.contains("is empty"), "{wrong}");
        for (kind, word) in [
            (
                measured(Response::Stream, Sampling::Headers, "l"),
                "response type",
            ),
            (
                measured(Response::Singleton, Sampling::Headers, "l.*"),
                "publish subject",
            ),
            (
                measured(Response::Singleton, Sampling::Headers, "l m"),
                "publish subject",
            ),
            (
                measured(Response::Singleton, Sampling::Percent(0), "l"),
                "1-100",
            ),
            (
                measured(Response::Singleton, Sampling::Percent(101), "l"),
                "1-100",
            ),
        ] {
            let wrong = Export::new("a", kind)
                .expect_err("not measured")
                .to_string();
            assert!(wrong.contains(word), "{wrong}");
        }
    }
}
