//! What does Docker get from ipvl? A network driver: `docker network create --driver ipvl`.

mod calls;
mod driver;
mod endpoint;
mod error;
mod listen;
mod master;
mod network;
mod options;
mod own_options;
mod protocol;
mod serve;
mod store;
mod sys;
mod usage;

use driver::Driver;
use error::{Error, Result};
use listen::Socket;
use rustix::process::{WaitOptions, waitpid};
use sd_notify::NotifyState;
use std::env;
use std::process::ExitCode;
use store::Store;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use usage::{Request, Settings};

fn main() -> ExitCode {
    let words: Vec<String> = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match usage::read(&words) {
        Ok(Request::Serve(settings)) => status(serve(&settings)),
        Ok(Request::Agent) => status(ipvl_control::run_agent(ipvl_control::Term::WhileNeeded).map_err(Error::from)),
        Ok(Request::Tell(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("ipvl-docker: {problem}; try --help");
            ExitCode::from(2)
        }
    }
}

fn status(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipvl-docker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: &Settings) -> Result<()> {
    let store = Store::open(&settings.state)?;
    if settings.upgrade {
        take_over();
    }
    let failed = |source| Error::Socket { path: settings.socket.clone(), source };
    let (listener, file) = Socket::open(&settings.socket)?.into_parts();
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let served = runtime.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let (end, ended) = (end()?, signal(SignalKind::child())?);
        tokio::spawn(reap(ended));
        // Without systemd there is no service manager to notify.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        serve::serve(listener, Driver::new(store), settings.stale, end).await
    });
    listen::remove(file.as_deref());
    served.map_err(failed)
}

/// The slaves of before get this version's programs and agent. Without them traffic goes on as it did, so the driver serves
/// in any case.
fn take_over() {
    match ipvl_control::upgrade(None, false) {
        Ok(masters) => masters.iter().filter(|master| master.replaced > 0).for_each(|master| {
            eprintln!("ipvl-docker: replaced {} programs of {}", master.replaced, master.master);
        }),
        Err(error) => eprintln!("ipvl-docker: {error}"),
    }
}

/// Reaps agents that this process has started, which end with their last slave.
async fn reap(mut ended: Signal) {
    while ended.recv().await.is_some() {
        while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
    }
}

/// Resolves on SIGTERM or SIGINT.
fn end() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let asked = std::future::poll_fn(|context| match terminate.poll_recv(context) {
            std::task::Poll::Pending => interrupt.poll_recv(context),
            ready => ready,
        });
        asked.await;
    })
}
