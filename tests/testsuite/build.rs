//! Builders: the native one needs nothing, the others run their real engine where it is installed.

mod clean;
mod contract;
mod engines;
mod fake_docker;
mod fetched;
mod inputs;
mod moving;
mod native;
mod overlap;
mod push;
mod reuse;
mod since;
mod unpushed;
