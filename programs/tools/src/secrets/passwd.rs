//! `midge passwd`: the bcrypt hash of a password, to stand in a configuration in its place.
//!
//! The hash begins with `$2a$`, as nats-server's tools make it; nats-server takes it as well.

use std::io::{self, IsTerminal, Write};

use bcrypt::Version;
use zeroize::Zeroizing;

use super::input::{self, Silent};
use crate::cli::PasswdArgs;
use crate::connection::Error;

/// What bcrypt looks at. A longer password would be good with any end.
const PASSWORD_BYTES_MAX: usize = 72;

/// Letters of a password that is made. Each of the 62 needs no escape in a URL, a file or a shell.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How many letters such a password has: 142 bits.
const LENGTH: usize = 24;

/// Prints the hash of a password, and before it the password if it was made here.
pub(crate) fn run(args: &PasswdArgs) -> Result<(), Error> {
    let is_terminal = io::stdin().is_terminal();
    let password = match (args.generate, is_terminal) {
        (true, _) => generated()?,
        (false, true) => typed()?,
        (false, false) => input::line()?,
    };
    if let Some(fault) = fault(&password) {
        return Err(Error::Unusable(fault));
    }
    let hash = bcrypt::hash_with_result(password.as_bytes(), args.cost);
    let hash = hash.map_err(|error| Error::Unusable(error.to_string()))?;
    let hash = hash.format_for_version(Version::TwoA);
    if args.generate {
        input::print(&password)?;
        input::print("\n")?;
    }
    input::print(&format!("{hash}\n"))?;
    if is_terminal {
        let _ = writeln!(
            io::stderr(),
            "\nin the configuration file: authorization {{ users: [ {{user: NAME, password: \"{hash}\"}} ] }}"
        );
    }
    Ok(())
}

/// Asks twice: a slip would shut the user out, and is not shown.
fn typed() -> Result<Zeroizing<String>, Error> {
    let terminal = Silent::new()?;
    let password = terminal.ask("Password")?;
    if let Some(fault) = fault(&password) {
        return Err(Error::Unusable(fault));
    }
    match terminal.ask("The same again")? == password {
        true => Ok(password),
        false => Err(Error::Unusable(
            "the two are not the same; type the password again".to_owned(),
        )),
    }
}

/// Letters at random, each as likely as any other.
fn generated() -> Result<Zeroizing<String>, Error> {
    let mut password = Zeroizing::new(String::with_capacity(LENGTH));
    let mut bytes = Zeroizing::new([0; LENGTH]);
    while password.len() < LENGTH {
        getrandom::fill(&mut *bytes).map_err(io::Error::from)?;
        // The bytes past the last multiple of 62 would make some letters likelier.
        let fair = bytes.iter().filter(|&&byte| byte < 62 * 4);
        let letters = fair.map(|byte| char::from(LETTERS[usize::from(byte % 62)]));
        let missing = LENGTH - password.len();
        password.extend(letters.take(missing));
    }
    Ok(password)
}

/// Why a password is of no use.
fn fault(password: &str) -> Option<String> {
    if password.is_empty() {
        return Some("the password is empty; give one, or let --generate make one".to_owned());
    }
    let len = password.len();
    if len > PASSWORD_BYTES_MAX {
        return Some(format!(
            "the password has more than {PASSWORD_BYTES_MAX} bytes, of which bcrypt would drop the rest; choose a \
             shorter one"
        ));
    }
    password.contains(char::is_control).then(|| {
        "the password has a control character, as an arrow key or a tab makes one; choose one without"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_good_if_bcrypt_takes_all_of_it_and_a_client_can_send_it() {
        let (most, more) = ("x".repeat(72), "x".repeat(73));
        for (password, expected) in [
            ("s3cret", None),
            (" ü$\"\\ ", None),
            (most.as_str(), None),
            (more.as_str(), Some("more than 72 bytes")),
            ("", Some("is empty")),
            ("a\x1b[Db", Some("control character")),
            ("a\0b", Some("control character")),
        ] {
            match (fault(password), expected) {
                (Some(fault), Some(expected)) => assert!(fault.contains(expected), "{fault}"),
                (fault, expected) => assert_eq!(fault.as_deref(), expected, "{password:?}"),
            }
        }
        // 72 bytes and no more letters: two in UTF-8.
        assert!(fault(&"ü".repeat(36)).is_none() && fault(&"ü".repeat(37)).is_some());
    }

    #[test]
    fn a_password_that_is_made_is_another_one_each_time_of_all_letters() {
        let made: Vec<_> = (0..200)
            .map(|_| generated().expect("there is chance"))
            .collect();
        let mut letters: Vec<u8> = made.iter().flat_map(|made| made.bytes()).collect();
        letters.sort_unstable();
        letters.dedup();
        let mut all = LETTERS.to_vec();
        all.sort_unstable();
        assert_eq!(letters, all);
        assert!(made.iter().all(|one| one.len() == LENGTH));
        assert_ne!(made[0], made[1]);
    }
}
