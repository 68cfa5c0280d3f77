//! What holds for whatever comes, by chance and by enumeration.

mod connect_merge;
mod matching;
mod peer;
mod round_trip;
mod sets;
mod websocket;
