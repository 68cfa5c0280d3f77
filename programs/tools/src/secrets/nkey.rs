//! `midge nkey`: a key for a user, or the public half of one that there is.

use std::io::{self, IsTerminal, Write};

use midge_protocol::nkey::Seed;
use zeroize::Zeroizing;

use super::input;
use crate::cli::NkeyArgs;
use crate::connection::Error;

/// Prints a seed and its public key, or the public key of the seed that is given.
pub(crate) fn run(args: &NkeyArgs) -> Result<(), Error> {
    if let Some(file) = &args.public {
        let seed = Seed::find(&input::text(file)?).ok_or_else(|| {
            let text = "that has no seed of a user: a line of 58 letters that begins with SU";
            Error::Unusable(text.to_owned())
        })?;
        return Ok(input::print(&format!("{}\n", seed.public()))?);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(io::Error::from)?;
    let seed = Seed::of(*bytes);
    let public = seed.public();
    input::print(&seed.text())?;
    input::print(&format!("\n{public}\n"))?;
    if io::stdin().is_terminal() {
        let _ = writeln!(
            io::stderr(),
            "\nin the configuration file: authorization {{ users: [ {{nkey: {public}}} ] }}\n\
             with the client: the first line, in a file that nobody else may read"
        );
    }
    Ok(())
}
