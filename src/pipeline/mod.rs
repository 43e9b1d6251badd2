//! The pipeline file: steps and their order.
