//! `Fault`: why a callout has not let a client in, in nats-server's words. The client is told nothing of it; the log is,
//! and those who listen for failed logins in the account of the callout. What the service says goes there as a
//! [`Text`].

use crate::auth::tokens::Refusal;
use crate::core::trace::Text;
use crate::jwt;
use std::fmt;

/// Why a callout has not let a client in. `own` is the account of the callout.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The answer is empty.
    NoReason { own: String },
    /// The answer is sealed, and not from the one who was asked to this server.
    #[cfg_attr(not(feature = "nkeys"), expect(dead_code))]
    Sealed { own: String, told: String },
    /// The answer is no token of its kind.
    Token(jwt::Fault),
    /// The answer is good no longer, or not yet.
    NotTimely(jwt::Issue),
    /// The answer is for another server.
    OtherServer,
    /// The answer is about another client.
    OtherUser,
    /// The service does not let it in, for this reason.
    Told(String),
    /// The answer is signed by somebody else.
    Stranger,
    /// The JWT of the user is no good.
    User(jwt::Issue),
    /// The JWT is of another user.
    Subject {
        expected: String,
        got: String,
        own: String,
    },
    /// The JWT says for whom its issuer signs, which only operators know of.
    IssuerAccount { own: String },
    /// The JWT is signed by somebody else.
    WrongIssuer {
        own: String,
        expected: String,
        got: String,
    },
    /// The JWT is of an account for which the callout may not decide.
    NotAllowed { account: String, own: String },
    /// There is no such account.
    NoAccount {
        account: String,
        own: String,
        told: String,
    },
    /// The JWT says where, how or when it comes in, and that is not so.
    Terms(Refusal),
    /// The settings, or the account's token, have no callout any more.
    Withdrawn,
    /// No answer has come in time.
    Late { own: String },
    /// It could not be asked.
    System,
}

impl Fault {
    /// Whether the client has shown something that is no good: the next ones from its address may have to wait.
    pub(crate) fn is_failure_of_client(&self) -> bool {
        matches!(
            self,
            Fault::Told(_) | Fault::NoReason { .. } | Fault::Terms(_)
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoReason { own } => write!(
                f,
                "Auth callout violation: \"no reason supplied\" on account {own:?}"
            ),
            Fault::Sealed { own, told } => write!(
                f,
                "Error decrypting auth callout response on account {own:?}: {told}"
            ),
            Fault::Token(fault) => {
                let text = capital(&fault.to_string());
                write!(f, "Auth callout response is no token: {}", Text(&text))
            }
            Fault::NotTimely(issue) => {
                let issue = issue.to_string();
                write!(
                    f,
                    "Authorization response had validation errors: {}",
                    Text(&issue)
                )
            }
            Fault::OtherServer => {
                f.write_str("Auth callout violation: auth callout response is not for server")
            }
            Fault::OtherUser => f.write_str(
                "Auth callout violation: auth callout response is not for expected user",
            ),
            Fault::Told(text) => {
                write!(f, "Auth callout service returned an error: {}", Text(text))
            }
            Fault::Stranger => f.write_str("Auth callout signing key is unknown"),
            Fault::User(issue) => {
                write!(f, "Error validating user JWT: {}", Text(&issue.to_string()))
            }
            Fault::Subject { expected, got, own } => write!(
                f,
                "Expected authorized user of {expected:?} but got \"{}\" on account {own:?}",
                Text(got)
            ),
            Fault::IssuerAccount { own } => write!(
                f,
                "Error non operator mode account {own:?}: attempted to use issuer_account"
            ),
            Fault::WrongIssuer { own, expected, got } => write!(
                f,
                "Wrong issuer for auth callout response on account {own:?}, expected {expected:?} got \"{}\"",
                Text(got)
            ),
            Fault::NotAllowed { account, own } => write!(
                f,
                "Account \"{}\" not permitted as valid account option for auth callout for account {own:?}",
                Text(account)
            ),
            Fault::NoAccount { account, own, told } => write!(
                f,
                "No valid account \"{}\" for auth callout response on account {own:?}: {}",
                Text(account),
                Text(told)
            ),
            Fault::Terms(refusal) => {
                write!(
                    f,
                    "Auth callout user is not let in: {}",
                    Text(&refusal.to_string())
                )
            }
            Fault::Withdrawn => f.write_str("Auth callout: nobody is to be asked any more"),
            Fault::Late { own } => write!(
                f,
                "Authorization callout response not received in time on account {own:?}"
            ),
            Fault::System => f.write_str("Error sending authorization request: no random bytes"),
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_part_of_one_line_and_bounded() {
        let told = |text: &str| Fault::Told(text.to_owned()).to_string();
        let begin = "Auth callout service returned an error: ";
        for (text, shown) in [
            ("no way", "no way"),
            ("\"joe\" isn't här", "\"joe\" isn't här"),
            ("a\r\n[ERR] b\x1b[2J\0", "a\\r\\n[ERR] b\\u{1b}[2J\\u{0}"),
            ("a\u{202e}b\u{2028}", "a\\u{202e}b\\u{2028}"),
        ] {
            assert_eq!(told(text), format!("{begin}{shown}"));
        }
        let long = "ä".repeat(100_000);
        let short = format!("{}...", "ä".repeat(128));
        assert_eq!(told(&long), format!("{begin}{short}"));
        let fault = Fault::NoAccount {
            account: long.clone(),
            own: "AUTH".to_owned(),
            told: long,
        };
        let text = format!(
            "No valid account \"{short}\" for auth callout response on account \"AUTH\": {short}"
        );
        assert_eq!(fault.to_string(), text);
    }
}
