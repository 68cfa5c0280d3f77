//! Secrets on their way in and out, without a copy in a buffer that is not overwritten: standard input, output and files
//! are read and written as they are, and not through the buffers that the standard library has for the first two.
//!
//! A password is typed without an echo. The terminal still takes whole lines, so that a letter can be taken back; Ctrl-C
//! ends a line there in place of the process, so that the echo comes back however it ends. The crates for this read
//! `/dev/tty` through buffers of their own, and leave the terminal silent after Ctrl-C.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use midge_text::system_words;
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::connection::Error;
use crate::plain;

/// More than any password may have: the rest of a longer line is not read.
const LINE_BYTES_MAX: usize = 1024;

/// More than any file with a seed has: a JWT may stand before it.
const FILE_BYTES_MAX: usize = 256 * 1024;

const CTRL_C: u8 = 0x03;

/// The first line of standard input, without its end.
///
/// # Errors
/// It cannot be read, or is no text.
pub(super) fn line() -> Result<Zeroizing<String>, Error> {
    line_of(&mut stdin()?)
}

/// What is in the file with a seed, or at standard input if that is `-`.
///
/// # Errors
/// It cannot be read, or is no text; or the seed itself stands there, which an error does not repeat.
pub(super) fn text(file: &Path) -> Result<Zeroizing<String>, Error> {
    if file == Path::new("-") {
        return match io::stdin().is_terminal() {
            true => Silent::new()?.ask("Seed"),
            false => text_of(&mut stdin()?),
        };
    }
    let shown = file.display().to_string();
    let is_letter = |byte: u8| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
    if shown.len() > 40 && shown.starts_with('S') && shown.bytes().all(is_letter) {
        return Err(Error::Unusable(
            "that looks like the seed itself, and every process of this machine may read a command line; write it to \
             a file and name that, or give - and the seed at standard input"
                .to_owned(),
        ));
    }
    File::open(file)
        .map_err(Error::from)
        .and_then(|mut file| text_of(&mut file))
        .map_err(|error| match error {
            Error::Io(error) => Error::Unusable(format!(
                "{}: {}; name a file with a seed, or - for standard input",
                plain::line(&shown),
                system_words(&error)
            )),
            other => other,
        })
}

/// Writes a secret to standard output.
pub(super) fn print(secret: &str) -> io::Result<()> {
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    File::from(stdout).write_all(secret.as_bytes())
}

fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn line_of(from: &mut impl Read) -> Result<Zeroizing<String>, Error> {
    let mut buffer = Zeroizing::new(vec![0; LINE_BYTES_MAX]);
    let is_over = |bytes: &[u8]| bytes.contains(&b'\n') || bytes.last() == Some(&CTRL_C);
    let read = fill(from, &mut buffer, is_over)?;
    if read.last() == Some(&CTRL_C) {
        return Err(Error::Unusable("given up; nothing is made".to_owned()));
    }
    let line = read.split(|&byte| byte == b'\n').next().unwrap_or_default();
    as_text(line.strip_suffix(b"\r").unwrap_or(line))
}

fn text_of(from: &mut impl Read) -> Result<Zeroizing<String>, Error> {
    let mut buffer = Zeroizing::new(vec![0; FILE_BYTES_MAX]);
    as_text(fill(from, &mut buffer, |_| false)?)
}

/// Reads until the end, until that is enough, or until the buffer is full.
fn fill<'a>(
    from: &mut impl Read,
    buffer: &'a mut [u8],
    is_enough: impl Fn(&[u8]) -> bool,
) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    while filled < buffer.len() && !is_enough(&buffer[..filled]) {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&buffer[..filled])
}

fn as_text(bytes: &[u8]) -> Result<Zeroizing<String>, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Error::Unusable(
            "that is not text in UTF-8, and no client could send it; give other text".to_owned(),
        )),
    }
}

/// The terminal at standard input, which shows nothing of what is typed until this is dropped.
#[derive(Debug)]
pub(super) struct Silent {
    before: Termios,
}

impl Silent {
    pub(super) fn new() -> io::Result<Silent> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ISIG);
        silent.local_flags.insert(LocalFlags::ICANON);
        silent.control_chars[SpecialCharacterIndices::VEOL as usize] = CTRL_C;
        // What was typed before, with an echo, does not count.
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Silent { before })
    }

    /// Asks for a line.
    ///
    /// # Errors
    /// It cannot be read, is no text, or Ctrl-C was pressed.
    pub(super) fn ask(&self, prompt: &str) -> Result<Zeroizing<String>, Error> {
        let mut err = io::stderr().lock();
        // Where it is not read, what is typed counts all the same.
        let _ = write!(err, "{prompt}: ").and_then(|()| err.flush());
        let line = line();
        // That of the person was not shown.
        let _ = writeln!(err);
        line
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // If it is gone, so is the need.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_stands_before_its_end_however_it_comes() {
        for (bytes, expected) in [
            (&b"secret\n"[..], Some("secret")),
            (b"secret\r\nmore\n", Some("secret")),
            (b" sec ret ", Some(" sec ret ")),
            (b"\nsecret", Some("")),
            (b"", Some("")),
            (b"sec\x03", None),
            (b"sec\xff\n", None),
        ] {
            let line = line_of(&mut &*bytes).ok();
            assert_eq!(line.as_ref().map(|line| line.as_str()), expected);
            let mut pieces = Pieces(bytes);
            let line = line_of(&mut pieces).ok();
            assert_eq!(line.as_ref().map(|line| line.as_str()), expected);
        }
        let endless = vec![b'x'; 1 << 20];
        let line = line_of(&mut &*endless).expect("it is text");
        assert_eq!(line.len(), LINE_BYTES_MAX);
    }

    /// Gives one byte at a time.
    struct Pieces<'a>(&'a [u8]);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((&first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            (buffer[0], self.0) = (first, rest);
            Ok(1)
        }
    }
}
