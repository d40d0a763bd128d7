//! Tests of the endpoint: one peer played by hand, and whole worlds of endpoints.

mod bench;
mod called;
mod caller;
mod inside;
mod judged;
mod streams;
mod worlds;
