//! Accounts: spaces of subjects that do not see each other.

use super::{Config, Export, Grant, Import, User};
use crate::mapping::Mapping;
use std::fmt;

/// A space of subjects of its own: what its clients publish reaches its clients and no others.
///
/// ```
/// use midge::{Account, Auth, Config, User};
/// use std::sync::Arc;
///
/// let ann = User {
///     name: "ann".into(),
///     proof: "her password".into(),
///     account: Some("A".into()),
///     ..User::default()
/// };
/// let config = Config {
///     auth: Auth::Users { users: vec![ann].into(), token: None },
///     accounts: Arc::new([("A".to_owned(), Account::default())].into()),
///     ..Config::default()
/// };
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// Its public key (`nkey`), for those who look for one. Default: none.
    pub nkey: Option<String>,
    /// What its users may publish, and subscribe to, that have no permissions of their own. Default: everything;
    /// [`Config::default_permissions`] are for users in no account.
    pub default_permissions: Option<Grant>,
    /// What its clients may have. Default: no limits but those of the server.
    pub limits: AccountLimits,
    /// What it offers to other accounts. Default: nothing.
    pub exports: Vec<Export>,
    /// What it takes from other accounts. Default: nothing.
    pub imports: Vec<Import>,
    /// Where what is published in it goes instead. Default: nowhere else.
    pub mappings: Vec<Mapping>,
}

/// What the clients of one account may have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AccountLimits {
    /// Most connections at once, of all its users together (`max_connections`). Default: no limit. One more is told
    /// so and closed; with 0, each.
    pub connections_max: Option<usize>,
    /// Most subscriptions of each client (`max_subscriptions`), where that is less than
    /// [`Config::subscriptions_max`]. Default: no limit of its own. One more is refused.
    pub subscriptions_max: Option<usize>,
    /// Most bytes of headers and payload in one message (`max_payload`), where that is less than
    /// [`Config::payload_bytes_max`]. Default: no limit of its own.
    pub payload_bytes_max: Option<usize>,
    /// Most leaf nodes (`max_leafnodes`). Default: no limit. There are none yet.
    pub leafnodes_max: Option<usize>,
}

impl AccountLimits {
    /// Each by its name in a file.
    pub(crate) fn each(&self) -> [(&'static str, Option<usize>); 4] {
        [
            ("max_connections", self.connections_max),
            ("max_subscriptions", self.subscriptions_max),
            ("max_payload", self.payload_bytes_max),
            ("max_leafnodes", self.leafnodes_max),
        ]
    }
}

impl fmt::Display for Account {
    /// As it stands in a file, but for its users; nothing where there is nothing to tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.limits.each().into_iter();
        let limits = limits.filter_map(|(name, limit)| Some(format!("{name}: {}", limit?)));
        let permissions = self.default_permissions.as_ref();
        let permissions = permissions.map(|all| format!("default_permissions: {all}"));
        let lists = [
            ("exports", first(&self.exports)),
            ("imports", first(&self.imports)),
            ("mappings", first(&self.mappings)),
        ];
        let lists = lists.into_iter();
        let lists = lists.filter_map(|(name, list)| Some(format!("{name}: {}", list?)));
        let parts: Vec<String> = limits.chain(permissions).chain(lists).collect();
        match parts.is_empty() {
            true => Ok(()),
            false => write!(f, "{{{}}}", parts.join(", ")),
        }
    }
}

/// Most of a list that is told in one line.
const TOLD_MAX: usize = 100;

/// The first of a list, and how many more there are; `None` if there is none.
fn first(list: &[impl fmt::Display]) -> Option<String> {
    let told: Vec<String> = list
        .iter()
        .take(TOLD_MAX)
        .map(ToString::to_string)
        .collect();
    match list.len().saturating_sub(TOLD_MAX) {
        _ if list.is_empty() => None,
        0 => Some(format!("[{}]", told.join(", "))),
        more => Some(format!("[{} and {more} more]", told.join(", "))),
    }
}

/// The name of the account of those that name none.
pub(crate) const GLOBAL: &str = "$G";

/// The name of the system account, unless `system_account` tells another.
pub(crate) const SYSTEM: &str = "$SYS";

impl Config {
    /// Whether there is an account of this name.
    pub(crate) fn has_account(&self, name: &str) -> bool {
        let is_system = || self.system_account.as_deref() == Some(name);
        name == GLOBAL || self.accounts.contains_key(name) || is_system()
    }

    /// The names of all accounts, the global one first.
    pub(crate) fn account_names(&self) -> impl Iterator<Item = &str> {
        let system = self.system_account.as_deref();
        let system = system.filter(|name| !self.accounts.contains_key(*name));
        let named = self.accounts.keys().map(String::as_str);
        [GLOBAL].into_iter().chain(named).chain(system)
    }

    /// The name of the system account, if there is one.
    pub(crate) fn system_account_name(&self) -> Option<&str> {
        let set = self.system_account.as_deref();
        set.or_else(|| self.accounts.contains_key(SYSTEM).then_some(SYSTEM))
    }

    /// What the clients of an account may have.
    pub(crate) fn account_limits(&self, name: &str) -> AccountLimits {
        let account = self.accounts.get(name);
        account.map(|account| account.limits).unwrap_or_default()
    }

    /// What a user may do that has no permissions of its own.
    pub(crate) fn default_permissions_of(&self, user: &User) -> Option<&Grant> {
        self.default_permissions_in(user.account_name())
    }

    /// What its users may do that have no permissions of their own.
    pub(crate) fn default_permissions_in(&self, account: &str) -> Option<&Grant> {
        match account {
            GLOBAL => self.default_permissions.as_ref(),
            account => self.accounts.get(account)?.default_permissions.as_ref(),
        }
    }
}

impl User {
    /// The name of its account.
    pub(crate) fn account_name(&self) -> &str {
        self.account.as_deref().unwrap_or(GLOBAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn an_account_is_shown_as_it_is_written() {
        let mut account = Account::default();
        assert_eq!(account.to_string(), "");
        account.limits.connections_max = Some(0);
        account.limits.payload_bytes_max = Some(7);
        assert_eq!(account.to_string(), "{max_connections: 0, max_payload: 7}");
        account.limits = AccountLimits::default();
        account.exports = vec![Export::stream("a").expect("it is right")];
        account.imports = vec![Import::service("B", "b").expect("it is right")];
        account.mappings = vec![Mapping::to("c", "d").expect("it is right")];
        assert_eq!(
            account.to_string(),
            "{exports: [{stream: a}], imports: [{service: {account: B, subject: b}}], mappings: [c -> d]}"
        );
        account.mappings.clear();
        account.imports.clear();
        account.exports = vec![account.exports[0].clone(); 102];
        assert!(account.to_string().ends_with("{stream: a} and 2 more]}"));
    }

    #[test]
    fn the_global_account_comes_first_and_the_system_account_is_there_with_or_without_users() {
        let mut config = Config::default();
        let names = |config: &Config| config.account_names().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (names(&config).as_str(), config.system_account_name()),
            ("$G", None)
        );
        let add = |config: &mut Config, name: &str| {
            Arc::make_mut(&mut config.accounts).insert(name.to_owned(), Account::default());
        };
        add(&mut config, "A");
        config.system_account = Some("$SYS".to_owned());
        assert_eq!(names(&config), "$G A $SYS");
        assert!(config.has_account("$SYS") && !config.has_account("B"));
        config.system_account = None;
        add(&mut config, "$SYS");
        assert_eq!(
            (names(&config).as_str(), config.system_account_name()),
            ("$G $SYS A", Some("$SYS"))
        );
    }
}
