//! `Relayed`: the handler of a connection that is relayed to another.

use crate::{Close, Context, Eof, Handler, Input, Key, ProxyOptions};

/// Hands all that its connection receives on to another, inside the loop: one half of a proxy, of
/// which the other half most often is one too.
///
/// The [relay](crate::Io::proxy) begins with `on_open`. The end of input is passed on, and the other
/// direction goes on; when the connection is gone, the other is closed behind what is queued for it.
/// So two that are relayed to each other both end when both directions have ended, or when either is
/// lost, refused or closed.
///
/// ```
/// use midge_reactor::{Context, util::Relayed};
///
/// fn proxy(cx: &mut Context<'_>) -> std::io::Result<()> {
///     cx.listen("127.0.0.1:0", |cx: &mut Context<'_>| {
///         let visitor = cx.key();
///         let server = cx.connect_host("example.org:80", Relayed::to(visitor));
///         Relayed::to(server)
///     })?;
///     Ok(())
/// }
/// # midge_reactor::run(|cx| { cx.stop(); proxy(cx) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Relayed {
    other: Key,
    options: ProxyOptions,
}

impl Relayed {
    /// All input goes to `other`, which may still be connecting.
    #[doc(alias = "enable_proxy")]
    #[must_use]
    pub fn to(other: Key) -> Relayed {
        Relayed::with(other, ProxyOptions::default())
    }

    /// As [`to`](Relayed::to), with options. What comes when the relay has ended is dropped.
    #[must_use]
    pub fn with(other: Key, options: ProxyOptions) -> Relayed {
        Relayed { other, options }
    }
}

impl<S> Handler<S> for Relayed {
    fn on_open(&mut self, cx: &mut Context<'_, S>) {
        let me = cx.key();
        if cx.proxy(me, self.other, &self.options).is_err() {
            cx.close_after_write();
        }
    }

    fn on_input(&mut self, _: &mut Context<'_, S>, input: &mut Input<'_>) {
        input.take();
    }

    fn on_eof(&mut self, _: &mut Context<'_, S>) -> Eof {
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Context<'_, S>, _: &Close) {
        cx.io.close_after_write(self.other);
    }
}
