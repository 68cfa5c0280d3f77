//! The loop over simulated hosts: what must hold whatever goes wrong.

mod actors;

mod closing;
mod echo;
mod hosts;
mod proxy;
mod relay;
mod timers;
