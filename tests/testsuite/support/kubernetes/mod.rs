//! A real Kubernetes on loopback: a control plane that all tests of a run share, and a node.
//!
//! `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` and `kubelet` come from
//! `KUBEBUILDER_ASSETS` or `PATH`. Without a node nothing runs; [`ControlPlane::play_kubelet`] then
//! says that pods are ready.

mod api;
mod applications;
mod argocd;
mod certificates;
mod control_plane;
mod faulty;
pub(crate) mod images;
mod keeper;
mod node;
mod own;
mod servers;
mod sweeper;

pub(crate) use argocd::PlayedArgoCd;
pub(crate) use control_plane::ControlPlane;
pub(crate) use faulty::{Fate, FaultyApi};
pub(crate) use node::{Node, Pulls};
pub(crate) use own::OwnApi;
