//! Rare branches, taken on purpose where a simulation asks for it.

use super::Io;

impl Io<'_> {
    /// Whether to take the rare branch at `site` now: to answer late, to flush a cache that is not
    /// full, to drop what may be dropped. For what a program must live with and seldom meets.
    ///
    /// Always false over real sockets. In a simulation about half of the sites are on in a run, if
    /// `sim::Faults::sites` says so, and one that is on answers true with
    /// `probability`, from 0 to 1. All of it comes from the seed: each site draws from numbers of its
    /// own, found by its name, so that one more site leaves the others as they were. A branch that is
    /// taken stands in the history under the site's name.
    ///
    /// ```
    /// # use midge_reactor::{Context, Handler, Input};
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
    ///     if cx.io.chance("echo puts its input off", 0.1) {
    ///         return cx.yield_now();
    ///     }
    ///     cx.send(input.take());
    /// }
    /// # }
    /// ```
    #[doc(alias = "buggify")]
    pub fn chance(&mut self, site: &'static str, probability: f64) -> bool {
        self.driver.chance(site, probability)
    }
}
