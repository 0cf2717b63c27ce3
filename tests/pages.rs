//! Do the pages say what happens? Their commands are typed, and what they say comes of each must be seen.
//!
//! `docs/howto.md` is played with both bodies: with `ipvl`, and with stock `ip` and our module. The module is loaded only
//! where `MODULES=allowed` says that this kernel may suffer: in the virtual machine of `make kmod-howto`.

#[path = "pages/page.rs"]
mod page;
#[path = "pages/session.rs"]
mod session;
#[path = "pages/symptoms.rs"]
mod symptoms;

use ipvl_testbed::{Driver, require_device, require_root, requires};
use page::{Body, Page, Section};
use session::{ROOT, Session};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// While the module is loaded, `ipvl` would make its slaves by it: the test that loads it has this alone.
static MODULE: RwLock<()> = RwLock::new(());

#[test]
fn the_howto_is_true_of_ebpf() {
    require_root!();
    require_device!("bridge");
    let _unloaded = MODULE.read().unwrap_or_else(PoisonError::into_inner);
    play(&Page::read("docs/howto.md"), Body::Ebpf, Driver::Ipvl);
}

#[test]
fn the_howto_is_true_of_the_module() {
    require_root!();
    if requires(
        module_may_be_loaded(),
        "no module of ours may be loaded here: make kmod-howto does it in a virtual machine",
    ) {
        let _alone = MODULE.write().unwrap_or_else(PoisonError::into_inner);
        let before = session::kernel_log().len();
        play(&Page::read("docs/howto.md"), Body::Module, Driver::Module);
        let log = session::kernel_log().into_iter().skip(before).collect::<Vec<_>>().join("\n");
        let trouble = ["WARNING:", "BUG:", "Oops", "Call Trace", "unregister_netdevice: waiting"];
        assert!(!trouble.iter().any(|words| log.contains(words)), "{log}");
    }
}

#[test]
fn each_section_of_the_howto_has_commands_for_both_bodies_or_none() {
    let page = Page::read("docs/howto.md");
    let has = |section: &Section, body| section.steps.iter().any(|step| step.body == Some(body));
    let lame = |section: &&Section| has(section, Body::Ebpf) != has(section, Body::Module) && !section.builds;
    let lame: Vec<_> = page.sections.iter().filter(lame).map(|section| &section.title).collect();
    assert!(lame.is_empty(), "only one body has commands in {lame:?}");
    assert!(page.sections.iter().filter(|section| has(section, Body::Module)).count() >= 8, "the page shrank");
}

#[test]
fn a_page_that_lies_is_found_out() {
    require_root!();
    let lies = ["true    # fails:", "false", "echo yes    # prints no", "true    # no answer", "echo    # prints x"];
    for line in lies {
        let page = Page::parse("a page", &format!("## Lies\n```sh\n{line}\n```\n"));
        let told = Session::new(Driver::Ipvl).impatient().play(page.sections.last().expect("one section"), Body::Ebpf);
        assert!(told.is_some(), "\"{line}\" was believed");
    }
}

/// Plays all sections, each in a network of its own, and fails unless all is as the page says.
#[track_caller]
fn play(page: &Page, body: Body, driver: Driver) {
    let sections = page.sections.iter().filter(|section| section.steps.iter().any(|step| step.is_for(body)));
    let (mut steps, mut wrong) = (0, Vec::new());
    for section in sections {
        steps += section.steps.iter().filter(|step| step.is_for(body)).count();
        wrong.extend(Session::new(driver).play(section, body));
    }
    assert!(
        wrong.is_empty(),
        "{} of {steps} commands of {} with {body:?}:\n{}",
        wrong.len(),
        page.name,
        wrong.join("\n")
    );
    println!("{}: {steps} commands with {body:?}", page.name);
}

fn module_may_be_loaded() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let module = Path::new(ROOT).join("target/kmod").join(release.trim()).join("ipvlan.ko");
    std::env::var("MODULES").is_ok_and(|said| said == "allowed") && module.exists()
}
