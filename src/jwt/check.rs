//! What is wrong with claims that can be read: the issues, in the words of nats-server.
//!
//! An operator's token is believed as it is. That of an account is checked when it is put to use and when it is pushed,
//! that of a user when it logs in.

use super::claims::is_account;
use super::{
    Account, Authorization, Claims, Export, Import, MappingTo, Permissions, User, activation,
};
use midge_protocol::nkey::{Kind, public_key};
use midge_protocol::{Subjects, subject};
use std::collections::BTreeMap;
use std::fmt;

/// Something that is wrong with claims. Prints as one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issue(String);

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T> Claims<T> {
    /// Whether it is good at this second, in seconds since 1970; what is wrong if it is not.
    ///
    /// # Errors
    /// It is over, or its time has not come.
    pub fn is_timely(&self, now: i64) -> Result<(), Issue> {
        if self.is_expired(now) {
            return Err(Issue("claim is expired".to_owned()));
        }
        if self.is_early(now) {
            return Err(Issue("claim is not yet valid".to_owned()));
        }
        Ok(())
    }
}

impl Claims<User> {
    /// What is wrong with it at any time. Whether its time zone is known is asked elsewhere.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Issues::default();
        issues.of_user(&self.body);
        let account = &self.body.issuer_account;
        if !account.is_empty() && !is_account(account) {
            issues.add("account_id is not an account public key");
        }
        issues.0
    }
}

impl Claims<Account> {
    /// What is wrong with it at any time.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Issues::default();
        let Account {
            limits,
            signing_keys,
            default_permissions,
            exports,
            imports,
            mappings,
            authorization,
            ..
        } = &self.body;
        issues.of_imports(imports, &self.subject);
        issues.of_exports(exports);
        for (source, destinations) in mappings {
            issues.of_mapping(source, destinations);
        }
        issues.of_permissions(default_permissions);
        let passes = |limit: i64, count: usize| limit >= 0 && count as i64 > limit;
        if passes(limits.imports, imports.len()) {
            // nats-server tells it twice, and tools may count.
            for _ in 0..2 {
                issues.add("the account contains more imports than allowed by the operator");
            }
        }
        if limits.exports != -1 {
            if passes(limits.exports, exports.len()) {
                issues.add("the account contains more exports than allowed by the operator");
            }
            let has_wildcard = |export: &&Export| subject::has_wildcard(export.subject.as_bytes());
            if !limits.wildcards {
                for _ in exports.iter().filter(has_wildcard) {
                    issues.add(
                        "the account contains wildcard exports that are not allowed by the operator",
                    );
                }
            }
        }
        issues.of_authorization(authorization);
        for key in signing_keys {
            if !is_account(&key.key) {
                issues.add(&format!("{} is not an account public key", key.key));
            }
            if let Some(scope) = &key.scope {
                // Its subjects are checked when their templates are filled in.
                issues.of_limits(&scope.template);
            }
        }
        issues.0
    }
}

impl Permissions {
    /// What is wrong with them.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Issues::default();
        issues.of_permissions(self);
        issues.0
    }
}

#[derive(Default)]
struct Issues(Vec<Issue>);

impl Issues {
    fn add(&mut self, text: &str) {
        self.0.push(Issue(text.to_owned()));
    }

    fn of_user(&mut self, user: &User) {
        self.of_permissions(&user.permissions);
        self.of_limits(user);
    }

    fn of_limits(&mut self, user: &User) {
        for network in &user.src {
            if network.parse::<ipnet::IpNet>().is_err() {
                self.add(&format!("invalid cidr {network:?} in user src limits"));
            }
        }
        for range in &user.times {
            if range.start.is_empty() || range.end.is_empty() {
                self.add("time ranges start/end are empty");
            } else if range.starts().is_none() {
                self.add(&format!("start in time range is invalid {:?}", range.start));
            } else if range.ends().is_none() {
                self.add(&format!("end in time range is invalid {:?}", range.end));
            }
        }
    }

    fn of_permissions(&mut self, permissions: &Permissions) {
        let Permissions {
            publish, subscribe, ..
        } = permissions;
        for text in publish.allow.iter().chain(&publish.deny) {
            self.of_subject(text);
        }
        for text in subscribe.allow.iter().chain(&subscribe.deny) {
            let mut words = text.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some(subject), _, None) => self.of_subject(subject),
                _ => self.add(&format!("subject {text:?} cannot have spaces")),
            }
        }
    }

    fn of_subject(&mut self, text: &str) {
        if text.is_empty() {
            self.add("subject cannot be empty");
        } else if text.contains(char::is_whitespace) {
            self.add(&format!("subject {text:?} cannot have spaces"));
        } else if !subject::is_subscribable(text.as_bytes()) {
            self.add(&format!("subject {text:?} is not valid"));
        }
    }

    fn of_authorization(&mut self, authorization: &Authorization) {
        let Authorization {
            auth_users,
            allowed_accounts,
            xkey,
        } = authorization;
        if auth_users.is_empty() && !allowed_accounts.is_empty() {
            self.add("External authorization cannot have accounts without users specified");
        }
        for user in auth_users {
            if public_key(Kind::User, user).is_none() {
                self.add(&format!("AuthUser {user:?} is not a valid user public key"));
            }
        }
        for account in allowed_accounts {
            match account.as_str() {
                "*" if allowed_accounts.len() > 1 => {
                    self.add("AllowedAccounts can only be a list of accounts or \"*\"");
                }
                "*" => {}
                account if is_account(account) => {}
                account => self.add(&format!(
                    "Account {account:?} is not a valid account public key"
                )),
            }
        }
        // Or what was to be sealed would be told to all.
        if !xkey.is_empty() && public_key(Kind::Curve, xkey).is_none() {
            self.add(&format!("XKey {xkey:?} is not a valid public xkey"));
        }
    }

    fn of_kind(&mut self, what: &str, kind: &str) {
        if !["stream", "service"].contains(&kind) {
            self.add(&format!("invalid {what} type: {kind:?}"));
        }
    }

    fn of_exports(&mut self, exports: &[Export]) {
        for export in exports {
            self.of_kind("export", &export.kind);
            self.of_subject(&export.subject);
        }
        let services = exports.iter().filter(|export| export.kind == "service");
        let services: Vec<(&str, Subjects)> = services
            .map(|export| (export.subject.as_str(), Subjects::new([&export.subject])))
            .collect();
        for (place, (one, own)) in services.iter().enumerate() {
            for (other, others) in &services[place + 1..] {
                let (wide, narrow) = if own.covers(other.as_bytes()) {
                    (one, other)
                } else if others.covers(one.as_bytes()) {
                    (other, one)
                } else {
                    continue;
                };
                self.add(&format!(
                    "service export subject {wide:?} already exports {narrow:?}"
                ));
            }
        }
    }

    fn of_imports(&mut self, imports: &[Import], account: &str) {
        let mut services: Vec<(String, Subjects)> = Vec::new();
        for import in imports {
            if import.kind == "service" {
                // As nats-server has it: in the older form the exporter's subject is looked at.
                let subject = match [&*import.to, &*import.local_subject] {
                    ["", ""] => import.subject.clone(),
                    ["", local] => with_stars(local),
                    [to, _] => to.to_owned(),
                };
                let own = Subjects::new([&subject]);
                for (other, others) in &services {
                    if own.covers(other.as_bytes()) || others.covers(subject.as_bytes()) {
                        self.add(&format!(
                            "overlapping subject namespace for {subject:?} and {other:?}"
                        ));
                    }
                }
                services.push((subject, own));
            }
            self.of_import(import, account);
        }
    }

    /// What an importer calls what it takes: each wildcard of the exporter's `subject` has to be somewhere in it.
    fn of_local_subject(&mut self, local: &str, subject: &str) {
        self.of_subject(local);
        let has_rest = |subject: &str| subject == ">" || subject.ends_with(".>");
        if has_rest(local) != has_rest(subject) {
            self.add("both, renaming subject and subject, need to end or not end in >");
        }
        let wildcards = subject.split('.').filter(|token| *token == "*").count();
        let mut named = 0;
        for token in local.split('.') {
            match token.strip_prefix('$').map(str::parse::<usize>) {
                Some(Ok(number)) if number > wildcards => self.add(&format!(
                    "Reference ${number} in {local:?} reference * in {subject:?} that do not exist"
                )),
                Some(Ok(_)) => named += 1,
                _ => named += usize::from(token == "*"),
            }
        }
        if named != wildcards {
            self.add("subject does not contain enough * or reference wildcards $[0-9]");
        }
    }

    fn of_mapping(&mut self, source: &str, destinations: &[MappingTo]) {
        self.of_subject(source);
        let mut totals: BTreeMap<&str, u32> = BTreeMap::new();
        for one in destinations {
            self.of_subject(&one.subject);
            *totals.entry(&one.cluster).or_default() += match one.weight {
                0 => 100,
                weight => u32::from(weight),
            };
        }
        for (cluster, _) in totals.into_iter().filter(|(_, total)| *total > 100) {
            let of_cluster = match cluster {
                "" => String::new(),
                name => format!(" in cluster {name:?}"),
            };
            self.add(&format!(
                "Mapping {source:?}{of_cluster} exceeds 100% among all of it's weighted to mappings"
            ));
        }
    }

    fn of_import(&mut self, import: &Import, account: &str) {
        let Import {
            name,
            subject,
            token,
            kind,
            to,
            local_subject,
            ..
        } = import;
        self.of_kind("import", kind);
        if import.account.is_empty() {
            self.add("account to import from is not specified");
        } else if !is_account(&import.account) {
            self.add(&format!(
                "account to import from {:?} is no key of an account",
                import.account
            ));
        }
        self.of_subject(subject);
        if !local_subject.is_empty() {
            self.of_local_subject(local_subject, subject);
        }
        if !to.is_empty() && !local_subject.is_empty() {
            self.add("local subject and to subject can not both be set");
        }
        if token.is_empty() {
            return;
        }
        let Ok(token) = activation(token) else {
            return self.add(&format!(
                "import {name:?} contains an invalid activation token"
            ));
        };
        if token.subject != account {
            self.add(&format!(
                "activation token doesn't match account it is being included in, {subject:?}"
            ));
        }
        if token.body.kind != *kind {
            self.add(&format!(
                "mismatch between token import type {} and type of import {kind}",
                token.body.kind
            ));
        }
        if token.issuer != import.account && token.body.issuer_account != import.account {
            self.add(&format!(
                "activation token doesn't match account for import {subject:?}"
            ));
        }
        let exported = import.exported();
        if !Subjects::new([&token.body.subject]).covers(exported.as_bytes()) {
            self.add(&format!(
                "activation token import subject {:?} doesn't match import {exported:?}",
                token.body.subject
            ));
        }
    }
}

/// A subject in which `$1` stands for a wildcard, with `*` in its place.
fn with_stars(subject: &str) -> String {
    let tokens = subject.split('.').map(|token| {
        let number = token.strip_prefix('$').map(str::parse::<usize>);
        if number.is_some_and(|number| number.is_ok()) {
            "*"
        } else {
            token
        }
    });
    tokens.collect::<Vec<_>>().join(".")
}
