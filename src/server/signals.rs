//! What signals make of a broker.
//!
//! | signal | effect |
//! | --- | --- |
//! | SIGINT, SIGTERM | the end, in good order; a second one: at once |
//! | SIGUSR2 | lame duck mode, in which SIGTERM does nothing |
//! | SIGUSR1, SIGHUP | what the program has given: opening its log again, reading its configuration |

use crate::server::broker::Broker;
use crate::server::lame_duck;
use crate::server::preflight::StartError;
use crate::server::stopping::shut_down;
use crate::state::serving::Told;
use crate::state::{State, Stop};
use midge_reactor::Context;
use midge_reactor::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use std::cell::RefCell;
use std::fmt::Display;
use std::io;
use std::rc::Rc;

impl Broker {
    /// Stops in good order when SIGINT or SIGTERM comes, and at once when a second one does. SIGUSR2
    /// begins [lame duck mode](Broker::lame_duck), in which SIGTERM is ignored.
    ///
    /// # Errors
    /// Those of the system.
    pub fn stop_on_signals(&mut self) -> io::Result<()> {
        self.with(|cx| {
            let mut stopping = false;
            cx.on_signals(&[SIGINT, SIGTERM], move |cx, signal| {
                let (name, stop) = match signal {
                    SIGTERM => ("terminated", Stop::Terminated),
                    _ => ("interrupt", Stop::Interrupted),
                };
                trapped(name);
                if signal == SIGTERM && cx.state.lame_duck {
                    return;
                }
                cx.state.stop = stop;
                if std::mem::replace(&mut stopping, true) {
                    cx.stop();
                } else {
                    shut_down(cx);
                }
            })?;
            cx.on_signals(&[SIGUSR2], |cx, _| {
                trapped("user defined signal 2");
                lame_duck::enter(cx);
            })
        })
    }

    /// Calls `reopen` when SIGUSR1 comes, which asks for the log file to be opened again.
    ///
    /// # Errors
    /// Those of the system.
    pub fn reopen_on_signal(&mut self, mut reopen: impl FnMut() + 'static) -> io::Result<()> {
        self.with(|cx| {
            cx.on_signals(&[SIGUSR1], move |_, _| {
                trapped("user defined signal 1");
                reopen();
            })
        })
    }

    /// Reloads when SIGHUP comes, in two steps: the job that `begin` answers runs on another thread,
    /// where it may wait for files and networks; `take_over` then gets what came of it, and answers what
    /// is of no more use, to be dropped on another thread. If there are reasons against it, each is logged,
    /// and nothing is taken over. A SIGHUP that comes meanwhile is obeyed behind that, once for however many
    /// there were.
    ///
    /// # Errors
    /// Those of the system.
    pub fn reload_on_signal<T, J, G>(
        &mut self,
        begin: impl FnMut() -> J + 'static,
        take_over: impl FnMut(&mut Context<'_, State>, T) -> Result<G, StartError> + 'static,
    ) -> io::Result<()>
    where
        T: Send + 'static,
        G: Send + 'static,
        J: FnOnce() -> Result<T, Vec<String>> + Send + 'static,
    {
        let reload = Rc::new(RefCell::new(Reload {
            begin,
            take_over,
            under_way: false,
            asked_again: false,
            told: Vec::new(),
            told_next: Vec::new(),
        }));
        self.with(|cx| {
            let by_request = Rc::clone(&reload);
            cx.state.serving.read_again = Some(Rc::new(move |cx, told| {
                by_request.borrow_mut().told_next.push(told);
                Reload::run(&by_request, cx);
            }));
            cx.on_signals(&[SIGHUP], move |cx, _| {
                trapped("hangup");
                Reload::run(&reload, cx);
            })
        })
    }
}

/// Reloading, of which there is one at a time.
struct Reload<B, O> {
    begin: B,
    take_over: O,
    under_way: bool,
    asked_again: bool,
    /// Who is told what comes of the one under way, and of the one behind it.
    told: Vec<Told>,
    told_next: Vec<Told>,
}

impl<B: 'static, O: 'static> Reload<B, O> {
    fn run<T, J, G>(this: &Rc<RefCell<Self>>, cx: &mut Context<'_, State>)
    where
        G: Send + 'static,
        B: FnMut() -> J,
        J: FnOnce() -> Result<T, Vec<String>> + Send + 'static,
        T: Send + 'static,
        O: FnMut(&mut Context<'_, State>, T) -> Result<G, StartError>,
    {
        let mut reload = this.borrow_mut();
        if reload.under_way {
            reload.asked_again = true;
            return;
        }
        reload.told = std::mem::take(&mut reload.told_next);
        let job = (reload.begin)();
        let then = Rc::clone(this);
        let begun = cx.offload(job, move |cx, read| {
            let mut reload = then.borrow_mut();
            reload.under_way = false;
            let reasons = match read {
                Ok(Ok(read)) => match (reload.take_over)(cx, read) {
                    Ok(former) => {
                        // Where there is no thread for it, clients wait until it is dropped.
                        let _ = cx.offload(move || drop(former), |_, _| {});
                        Vec::new()
                    }
                    Err(error) => vec![error.to_string()],
                },
                Ok(Err(reasons)) => reasons,
                Err(panic) => vec![panic.to_string()],
            };
            reasons.iter().for_each(|reason| not_reloaded(reason));
            let told = std::mem::take(&mut reload.told);
            let is_asked_again = std::mem::take(&mut reload.asked_again);
            drop(reload);
            tell(cx, told, &reasons);
            if is_asked_again {
                Reload::run(&then, cx);
            }
        });
        match begun {
            Ok(()) => reload.under_way = true,
            Err(error) => {
                not_reloaded(&error);
                let told = std::mem::take(&mut reload.told);
                drop(reload);
                tell(cx, told, &[error.to_string()]);
            }
        }
    }
}

/// Tells those who have asked what came of it.
fn tell(cx: &mut Context<'_, State>, told: Vec<Told>, reasons: &[String]) {
    for one in told {
        let outcome = match reasons {
            [] => Ok(()),
            reasons => Err(reasons.join("; ")),
        };
        one(cx, outcome);
    }
}

fn not_reloaded(cause: &dyn Display) {
    log::error!(
        target: "midge",
        "Failed to reload server configuration: {cause}; nothing has changed"
    );
}

fn trapped(name: &str) {
    log::info!(target: "midge", "Trapped \"{name}\" signal");
}
