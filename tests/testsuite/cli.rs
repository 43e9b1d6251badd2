//! The program as its users run it: one file a command.

mod demo;
mod interrupt;
mod refusals;
mod shop;
mod stand_alone;
mod stated;
mod together;
mod usage;
