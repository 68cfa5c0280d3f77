//! `midge top`: what a broker is doing, once a second, from its monitoring port.
//!
//! * `sample.rs`: what it has answered, and what has changed since.
//! * `page.rs`: that as text.
//! * `terminal.rs`: the screen, and keys.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use super::cli::TopArgs;
use super::connection::Error;

mod page;
mod sample;
mod terminal;

pub(super) use sample::Sort;

use sample::Sample;
use terminal::{Key, Terminal};

/// Shows samples until there were enough, or the user presses q.
pub(super) fn run(args: &TopArgs) -> Result<(), Error> {
    if args.samples.is_none() && !args.json && io::stdout().is_terminal() {
        watch(args)
    } else {
        print(args)
    }
}

/// One sample below the other, for scripts and files.
fn print(args: &TopArgs) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let mut before: Option<Sample> = None;
    let mut left = args.samples;
    loop {
        let sample = Sample::take(&args.monitoring.monitor(), args.sort, args.limit)?;
        if args.json {
            writeln!(out, "{}", sample.json(before.as_ref()))?;
        } else {
            let text = page::render(&sample, before.as_ref(), args.sort, None);
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(());
        }
        before = Some(sample);
        thread::sleep(args.delay);
    }
}

/// The last sample on the whole screen.
fn watch(args: &TopArgs) -> Result<(), Error> {
    let mut terminal = Terminal::open()?;
    let mut sort = args.sort;
    let mut before: Option<Sample> = None;
    loop {
        let sample = match Sample::take(&args.monitoring.monitor(), sort, args.limit) {
            Ok(sample) => sample,
            // It may come back.
            Err(error) if before.is_some() => {
                terminal.show(&error.to_string())?;
                if wait(&mut terminal, args.delay, &mut sort)? {
                    return Ok(());
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let text = page::render(&sample, before.as_ref(), sort, Some(terminal.size()));
        terminal.show(&text)?;
        before = Some(sample);
        if wait(&mut terminal, args.delay, &mut sort)? {
            return Ok(());
        }
    }
}

/// Waits for the next sample, or for a key that asks for one now; answers whether it is over.
fn wait(terminal: &mut Terminal, delay: Duration, sort: &mut Sort) -> Result<bool, Error> {
    match terminal.key(delay)? {
        Some(Key::Quit) => return Ok(true),
        Some(Key::NextColumn) => *sort = sort.next(),
        Some(Key::Other) | None => {}
    }
    Ok(false)
}
