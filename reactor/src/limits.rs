//! The process's limit on open files, which bounds the number of connections.

use std::io;

/// Raises the limit on open files as far as the system allows without privilege, and answers the
/// limit that holds now.
///
/// Each connection is one open file. The usual soft limit, 1024, is for programs that use
/// `select`, which this one does not.
///
/// # Errors
/// Those of the system's calls; the limit is as it was.
#[doc(alias = "set_descriptor_table_size")]
pub fn raise_open_files() -> io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}
