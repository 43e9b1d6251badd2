//! The program as its users run it: one file a command.

mod actions;
mod api;
mod demo;
mod deployments;
mod effect;
mod full_disk;
mod gates;
mod hostile;
mod interrupt;
mod killed;
mod many;
mod market;
mod pipelines;
mod pull_requests;
mod refusals;
mod refused;
mod remotes;
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
