//! Which policies of ipvl mean the same as NetworkPolicy objects (networking.k8s.io/v1)?
//!
//! [`Cluster::read`] takes what `kubectl get networkpolicy,pod,namespace -A -o yaml` prints, and [`translate`] says what follows
//! for each pod. There is no I/O here: the caller knows the objects, and which slave is which pod's.
//!
//! A NetworkPolicy with a field that is not known here is refused, because leaving out a field would let more pass.

mod blocks;
mod cluster;
mod meaning;
mod objects;
mod refusal;
mod selector;
mod traffic;
mod translate;

pub use cluster::Cluster;
pub use refusal::{Refusal, Wrong};
pub use translate::{Translated, translate};
