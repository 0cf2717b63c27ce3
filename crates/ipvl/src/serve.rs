//! How do programs read a text over HTTP? A few at a time, each for a moment only: GET /metrics, and nothing else.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// So many connections are open at once; others wait in the socket's queue.
const MOST: usize = 16;
/// A connection has one answer, and lasts no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure to accept, as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
const PATH: &str = "/metrics";

/// Makes the text; an error is told to the client.
pub type Source = fn() -> Result<String, String>;

/// A text and its media type.
#[derive(Clone, Copy)]
pub struct Page {
    /// Read anew for each request, one at a time.
    pub source: Source,
    /// For `Content-Type`.
    pub media_type: &'static str,
}

/// Listens until the process is ended. Calls `listening` with the address once clients can connect.
pub fn serve(address: SocketAddr, page: Page, listening: impl FnOnce(SocketAddr)) -> io::Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        listening(listener.local_addr()?);
        accept(listener, page).await
    })
}

async fn accept(listener: TcpListener, page: Page) -> io::Result<Infallible> {
    let (room, turn) = (Arc::new(Semaphore::new(MOST)), Arc::new(Semaphore::new(1)));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let turn = Arc::clone(&turn);
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, converse(stream, page, turn)).await;
            drop(place);
        });
    }
}

/// The client may be gone at any time.
async fn converse(stream: TcpStream, page: Page, turn: Arc<Semaphore>) {
    let service = service_fn(move |request| answer(request, page, Arc::clone(&turn)));
    let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    page: Page,
    turn: Arc<Semaphore>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    const TEXT: &str = "text/plain; charset=utf-8";
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, PATH) => match read(page, turn).await {
            Ok(text) => response(StatusCode::OK, page.media_type, text),
            Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error + "\n"),
        },
        (_, PATH) => response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered\n".to_owned()),
        _ => response(StatusCode::NOT_FOUND, TEXT, format!("there is only {PATH} here\n")),
    })
}

async fn read(page: Page, turn: Arc<Semaphore>) -> Result<String, String> {
    let _turn = turn.acquire().await.map_err(|error| error.to_string())?;
    spawn_blocking(page.source).await.map_err(|error| error.to_string())?
}

fn response(status: StatusCode, media_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpStream};
    use std::sync::mpsc;

    #[test]
    fn one_page_is_served_and_clients_that_say_nothing_do_not_keep_others_out() {
        let address = start(|| Ok("a 1\n".to_owned()));
        let ask = |line: &str| ask(address, line);
        let page = ask("GET /metrics HTTP/1.1");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\na 1\n"), "{page}");
        assert!(page.contains("content-type: text/x\r\n") && page.contains("connection: close\r\n"), "{page}");
        assert!(ask("GET / HTTP/1.1").starts_with("HTTP/1.1 404 "));
        assert!(ask("POST /metrics HTTP/1.1").starts_with("HTTP/1.1 405 "));
        assert!(ask("nonsense").starts_with("HTTP/1.1 400 "));
        let silent: Vec<_> = (1..MOST).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert!(ask("GET /metrics HTTP/1.1").starts_with("HTTP/1.1 200 "));
        drop(silent);
    }

    #[test]
    fn a_failure_is_told() {
        let told = ask(start(|| Err("cannot read x".to_owned())), "GET /metrics HTTP/1.1");
        assert!(told.starts_with("HTTP/1.1 500 ") && told.ends_with("\r\n\r\ncannot read x\n"), "{told}");
    }

    fn start(source: Source) -> SocketAddr {
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            serve(address, Page { source, media_type: "text/x" }, |address| tell.send(address).unwrap())
        });
        told.recv().unwrap()
    }

    fn ask(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{line}\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
