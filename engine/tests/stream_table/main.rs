//! The stream table as its shells see it: packets, commands and time in, verdicts, actions and reports out.

mod abuse;
mod lifecycle;
mod moves;
mod mutation;
mod playback;
mod relay;
mod world;
