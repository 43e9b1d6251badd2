//! Builders: the native one needs nothing, the others run their real engine where it is installed.

mod native;
