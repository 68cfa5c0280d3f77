//! The loop over scripted sockets: what each turn does, in which order, and what it never does.

// Some of it is for the other tests.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

// Some of it is for the other tests.
#[allow(dead_code)]
#[path = "../support/layers.rs"]
mod layers;

// Some of it is for the other tests.
#[allow(dead_code)]
#[cfg(feature = "tls")]
#[path = "../support/certificates.rs"]
mod certificates;

mod budget;
mod turn;

mod accepting;
mod connecting;

mod input;
mod output;

mod closing;
mod panics;
mod stopping;

mod datagrams;

mod builder;
mod each_turn;
mod misuse;
mod shortage;
mod stats;

mod idle;
mod late;
mod remote;
mod timers;

mod calls;
mod connect_host;
mod coordination;
mod handshakes;
mod layer;
mod offload;
mod posting;
mod relay;
mod splice;
mod stream;

mod codec;
#[cfg(feature = "tls")]
mod codec_callbacks;
mod pieces;
#[cfg(feature = "tls")]
mod tls;
