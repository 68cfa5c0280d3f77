//! A file and the flags over it: all that a broker is started with, or refused for.

use super::language::{self, Error, World};
use super::options::{self, Refused, Report, Written};
use crate::cli::{self, Command, Options};
use crate::start;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Settings that a broker can be started with, and how they came about.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The defaults, over them the file, and over that the flags.
    pub options: Options,
    /// What the file sets, and where, by the names of [`settings`](super::settings).
    pub written: BTreeMap<&'static str, Written>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// What is worth telling. Without errors.
    pub report: Report,
}

/// Reads the file at `path`, puts the flags of `args` over it, and checks all as before a start.
/// Nothing is opened but files to include.
///
/// ```
/// use midge::config::{language::System, load};
///
/// let refused = load("no such file".as_ref(), &["-D".into()], &System).expect_err("there is none");
/// assert_eq!(refused.to_string(), "open no such file: no such file or directory");
/// ```
///
/// # Errors
/// Everything that is wrong. Warnings and notices are lost.
pub fn load(path: &Path, args: &[OsString], world: &dyn World) -> Result<Loaded, Refused> {
    let document = language::read(path, world).map_err(Refused)?;
    let settings = options::settings(&document);
    let (mut report, written) = (settings.report, settings.written);
    let base = Options {
        file: Some(path.to_owned()),
        ..settings.options
    };
    let options = match cli::parse_over(base, args.iter().cloned()) {
        Ok(Command::Run(options) | Command::Test(options)) => *options,
        Ok(_) => Options::default(),
        Err(error) => {
            report.errors.push(Error {
                at: None,
                text: error.to_string(),
            });
            return Err(Refused(report.errors));
        }
    };
    let told_already = !report.errors.is_empty();
    for fault in start::faults(&options.config) {
        // What is wrong with the block was told by its parts.
        if told_already && fault.setting == "authorization" {
            continue;
        }
        // The place of either setting helps; a flag has none.
        let is_by_flag = options.by_flag.contains(&fault.setting);
        let place = written.get(fault.setting).filter(|_| !is_by_flag);
        report.errors.push(Error {
            at: place.map(|written| written.at.clone()),
            text: fault.text,
        });
    }
    if !report.errors.is_empty() {
        return Err(Refused(report.errors));
    }
    Ok(Loaded {
        options,
        written,
        files: document.files,
        report,
    })
}

impl Loaded {
    /// What is worth telling when a broker starts, a line for each.
    pub fn remarks(&self) -> Vec<String> {
        let told = self.report.warnings.iter().chain(&self.report.notices);
        let flags = self.options.notices.iter().cloned();
        told.map(ToString::to_string).chain(flags).collect()
    }

    /// Directories that are named and not there, a line for each: files in them could not be written
    /// on this machine.
    pub fn missing_directories(&self) -> Vec<String> {
        let Options { config, log, .. } = &self.options;
        let of_file = |file: &Option<PathBuf>| {
            let parent = file.as_deref().and_then(Path::parent)?;
            (!parent.as_os_str().is_empty()).then(|| parent.to_owned())
        };
        let named = [
            ("pid_file", of_file(&config.pid_file)),
            ("log_file", of_file(&log.file)),
            ("ports_file_dir", config.ports_file_dir.clone()),
        ];
        let missing = named.into_iter().filter_map(|(name, directory)| {
            let directory = directory.filter(|directory| !directory.is_dir())?;
            let directory = directory.display();
            Some(format!(
                "{name}: there is no directory {directory} on this machine"
            ))
        });
        missing.collect()
    }
}
