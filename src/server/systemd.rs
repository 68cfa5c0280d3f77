//! What systemd wants to hear from a service of type `notify`.

use crate::server::broker::Broker;
use sd_notify::NotifyState;

impl Broker {
    /// Tells systemd when clients can connect, and then again and again that the loop still turns, if
    /// the unit asks for that (`WatchdogSec`). Does nothing where there is no systemd.
    pub fn report_to_systemd(&mut self) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return;
        }
        self.with(|cx| {
            // In the first turn, when all files are written. The rest comes behind it, however late that is.
            cx.defer(|cx| {
                tell(NotifyState::Ready);
                if let Some(limit) = sd_notify::watchdog_enabled() {
                    cx.every(limit / 2, |_| tell(NotifyState::Watchdog));
                }
            });
        });
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        let said = midge_text::system_words(&error);
        log::warn!(target: "midge", "Error notifying systemd: {said}");
    }
}
