//! The loop over simulated hosts: what must hold whatever goes wrong.

mod actors;

mod closing;
mod coordination;
mod datagrams;
mod echo;
mod hosts;
mod names;
mod offload;
mod proxy;
mod reconnect;
mod relay;
mod timers;
mod tools;
mod unix;
