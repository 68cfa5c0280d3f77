//! The numbers of the signals that programs listen for, by their names: for
//! [`Context::on_signals`](crate::Context::on_signals) and
//! [`Io::kill`](crate::Io::kill). Some differ from system to system.

pub use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSTOP, SIGTERM,
    SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};
