//! The program as its users run it: one file a command.

mod actions;
mod demo;
mod effect;
mod gates;
mod interrupt;
mod killed;
mod pipelines;
mod refusals;
mod refused;
mod rollback;
mod secrets;
pub(crate) mod shop;
mod stand_alone;
mod stated;
mod superseded;
mod targets;
mod together;
mod transports;
mod usage;
