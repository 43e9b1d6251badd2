//! `deployctl.yaml`: the configuration file.
