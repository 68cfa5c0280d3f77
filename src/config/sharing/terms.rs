//! On which terms a service is served that an account imports: those of the export that has it.

use super::{Export, ExportKind, Import, Service};
use crate::config::Config;
use midge_protocol::subject;

impl Config {
    /// What the exporter says of a service that is imported. The export of the very subject, or else the first that has
    /// all of it.
    ///
    /// Cost: a look at each export of that account.
    pub(crate) fn terms_of_service(&self, import: &Import) -> Option<&Service> {
        let exports = &self.accounts.get(import.account())?.exports;
        let of = |export: &&Export| export.is_service() && export.subject() == import.subject();
        let covering = |export: &&Export| export.is_service() && covers(export, import.subject());
        let export = exports.iter().find(of);
        match export.or_else(|| exports.iter().find(covering))?.kind() {
            ExportKind::Service(service) => Some(service),
            ExportKind::Stream => None,
        }
    }
}

/// Whether an export has all subjects that `pattern` matches.
fn covers(export: &Export, pattern: &str) -> bool {
    let is_bounded = !pattern.ends_with('>') || export.subject().ends_with('>');
    is_bounded && subject::matches(export.subject().as_bytes(), pattern.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Account, Response};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn the_export_of_the_very_subject_tells_the_terms_and_then_the_first_that_has_all_of_it() {
        let export = |subject: &str, seconds| {
            let service = Service {
                response: Response::Stream,
                threshold: Some(Duration::from_secs(seconds)),
                ..Service::default()
            };
            Export::new(subject, ExportKind::Service(service)).expect("it is right")
        };
        let exports = vec![
            Export::stream("a.b").expect("it is right"),
            export("a.*", 1),
            export("a.>", 2),
            export("a.b", 3),
        ];
        let account = Account {
            exports,
            ..Account::default()
        };
        let config = Config {
            accounts: Arc::new([("A".to_owned(), account)].into()),
            ..Config::default()
        };
        for (subject, seconds) in [
            ("a.b", Some(3)),
            ("a.c", Some(1)),
            ("a.>", Some(2)),
            ("b", None),
        ] {
            let import = Import::service("A", subject).expect("it is right");
            let terms = config.terms_of_service(&import);
            let told = terms.and_then(|terms| terms.threshold);
            assert_eq!(told, seconds.map(Duration::from_secs), "{subject}");
        }
        let other = Import::service("B", "a.b").expect("it is right");
        assert_eq!(config.terms_of_service(&other), None);
    }
}
