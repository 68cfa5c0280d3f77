//! Files with the secret half of a key: a seed alone, or a JWT and its seed as `nsc` writes them.

use midge_protocol::Secret;
use midge_protocol::nkey::{Seed, jwt_in};

/// A user of a broker that trusts operators.
#[derive(Clone, Debug)]
pub(crate) struct Creds {
    pub(crate) jwt: Secret,
    pub(crate) seed: Seed,
}

/// The seed in a file: the first line that begins like one.
pub(crate) fn nkey_file(path: &str) -> Result<Seed, String> {
    Seed::find(&read(path)?).ok_or_else(|| NO_SEED.to_owned())
}

/// The JWT and the seed in a file.
pub(crate) fn creds_file(path: &str) -> Result<Creds, String> {
    creds_in(&read(path)?)
}

const NO_SEED: &str = "it has no seed of a user: a line of 58 letters that begins with SU";

fn read(path: &str) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| midge_text::system_words(&error))?;
    Ok(text.into())
}

fn creds_in(text: &str) -> Result<Creds, String> {
    let jwt = jwt_in(text).ok_or("it has no JWT of a user; nsc writes such files")?;
    Ok(Creds {
        jwt: jwt.into(),
        seed: Seed::find(text).ok_or(NO_SEED)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_jwt_are_found_in_what_stands_around_them() {
        let seed = Seed::of([1; 32]);
        let text = seed.text();
        assert_eq!(Seed::find(&text).as_ref(), Some(&seed));
        assert_eq!(
            Seed::find(&format!("# mine\n  {}\r\n", &*text)).as_ref(),
            Some(&seed)
        );
        assert_eq!(Seed::find("SUPER\n"), None);
        let creds = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.a.b\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            &*text
        );
        let found = creds_in(&creds).expect("both are there");
        assert!(found.jwt.is("eyJ0.a.b") && found.seed == seed);
        assert!(creds_in(&text).is_err());
        assert!(creds_in("-----BEGIN NATS USER JWT-----\neyJ0.a.b\n").is_err());
    }
}
