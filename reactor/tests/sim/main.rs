//! The loop over simulated hosts: what must hold whatever goes wrong.

mod actors;
// Some of it is for the other tests.
#[allow(dead_code)]
#[path = "../support/certificates.rs"]
mod certificates;
// Some of it is for the other tests.
#[allow(dead_code)]
#[path = "../support/layers.rs"]
mod layers;

mod anything;
mod budget;
mod closing;
mod coordination;
mod datagrams;
mod echo;
mod families;
mod hosts;
mod layer;
mod names;
mod offload;
mod panics;
mod parity;
mod proxy;
mod reconnect;
mod relay;
mod timers;
mod tls;
mod tools;
mod unix;
