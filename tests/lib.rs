//! What must ipvl do, as data, and which tests check it?
//!
//! `scenarios/*.toml` say which slaves there are, which frame comes from where, and what must become of it. Each is
//! judged more than once: by the decision alone (`decide.rs`), by the programs in the kernel (`kernel.rs`), and by real packets in
//! real namespaces (`netns.rs`). [`scenario`] has the grammar of a scenario, [`frame`] that of a frame.
//!
//! What no list of scenarios can say: `properties.rs` (what holds for any frame; `TIMES=100` asks for more of them), and
//! `host.rs` (what the host's routes, filters and proxies do to slaves).

#[path = "corpus/document.rs"]
pub mod document;
#[path = "corpus/frame.rs"]
pub mod frame;
#[path = "corpus/names.rs"]
pub mod names;
#[path = "corpus/outcome.rs"]
pub mod outcome;
#[path = "corpus/random.rs"]
pub mod random;
#[path = "corpus/scenario.rs"]
pub mod scenario;
#[path = "netns/stage.rs"]
pub mod stage;
#[path = "corpus/world.rs"]
pub mod world;
