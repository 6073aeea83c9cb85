//! One request and its answer. The only file that names the HTTP client.
//!
//! The client follows no redirect, takes no status for an error, unpacks nothing and reads no variable of the
//! environment: what is asked of whom is decided elsewhere.

use super::{address, proxy::Proxy, settings::Limits};
use crate::error::{Error, Kind, Result};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use std::{
    fmt,
    io::{self, Read},
    time::Duration,
};
use ureq::{
    Agent, Timeout,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// How long a connection may take, with finding the host, the proxy and TLS.
const CONNECT: Duration = Duration::from_secs(10);

/// The most bytes of headers: some hubs say much about what they allow.
const MOST_HEADERS: usize = 64 * 1024;

/// Certificates that are believed in place of the built-in ones.
#[derive(Clone)]
pub(super) struct Roots(Vec<Certificate<'static>>);

impl Roots {
    /// Of a PEM file; `None` if none is in it, or it is damaged.
    pub(super) fn of_pem(pem: &[u8]) -> Option<Self> {
        let mut roots = Vec::new();
        for item in parse_pem(pem) {
            if let PemItem::Certificate(certificate) = item.ok()? {
                roots.push(certificate);
            }
        }
        (!roots.is_empty()).then_some(Self(roots))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Fails with `TimedOut` when nothing comes for the time limit, `UnexpectedEof` when it is cut.
    pub(super) body: Box<dyn Read + Send>,
}

/// Why nothing came back.
pub(super) struct Fault {
    pub(super) error: Error,
    /// Whether another try may go better.
    pub(super) is_passing: bool,
}

/// Asks servers.
pub(super) struct Web {
    agent: Agent,
    limits: Limits,
}

impl Web {
    /// With these certificates, or else the built-in ones.
    pub(super) fn new(roots: Option<&Roots>, limits: Limits) -> Self {
        let roots = roots.map_or(RootCerts::WebPki, |Roots(roots)| RootCerts::new_with_certs(roots));
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            // The client's own reading of the environment is switched off.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("speechctl/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .max_response_header_size(MOST_HEADERS)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .build();
        Self { agent: config.new_agent(), limits }
    }

    /// Asks for the headers alone (`HEAD`), or for all (`GET`).
    ///
    /// # Errors
    /// A `Fault` whose error names the host, or the proxy.
    pub(super) fn ask(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        proxy: Option<&Proxy>,
    ) -> Result<Answer, Fault> {
        let limit = if method == Method::HEAD { self.limits.answer } else { self.limits.stall };
        let used = proxy.map(|proxy| ureq::Proxy::new(&proxy.url)).transpose().map_err(|_| no_proxy(proxy))?;
        let mut request = Request::builder().method(method).uri(uri).body(()).map_err(|_| nowhere(uri))?;
        *request.headers_mut() = headers;
        let request = self
            .agent
            .configure_request(request)
            .proxy(used)
            .timeout_send_request(Some(limit))
            .timeout_recv_response(Some(limit))
            .timeout_per_read(Some(limit))
            .timeout_per_write(Some(limit))
            .build();
        match self.agent.run(request) {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = Box::new(Body { reader: body.into_reader(), limit });
                Ok(Answer { status: parts.status, headers: parts.headers, body })
            }
            Err(error) => Err(fault(error, uri, proxy, limit)),
        }
    }
}

/// The bytes of an answer, with errors that say what happened.
struct Body<R> {
    reader: R,
    limit: Duration,
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
            match inner {
                Some(ureq::Error::Timeout(_)) => {
                    let message = format!("nothing came for {} s", self.limit.as_secs());
                    io::Error::new(io::ErrorKind::TimedOut, message)
                }
                Some(_) => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
                None if error.kind() == io::ErrorKind::UnexpectedEof => {
                    io::Error::new(error.kind(), "the connection was cut")
                }
                None => error,
            }
        })
    }
}

/// What went wrong, in words that name the host.
fn fault(error: ureq::Error, uri: &Uri, proxy: Option<&Proxy>, limit: Duration) -> Fault {
    use ureq::Error as Web;
    let host = address::host(uri);
    // Through a proxy, what cannot be reached is the proxy.
    let far = proxy.map_or_else(|| host.to_owned(), |proxy| format!("the proxy {} of {}", proxy.host, proxy.variable));
    let passing = |message: String| Fault { error: Error::new(Kind::Unavailable, message), is_passing: true };
    match error {
        Web::Io(cause) if is_of_certificate(&cause) => certificate(host, &cause),
        Web::Rustls(cause) if is_of_certificate(&cause) => certificate(host, &cause),
        // Where this comes from, the cause has "failed to lookup address information" in it.
        Web::Io(cause) => passing(format!("{far} does not answer: {cause}")),
        Web::HostNotFound => passing(format!("{far} does not answer: there is no such host")),
        Web::Timeout(Timeout::Resolve | Timeout::Connect) => {
            passing(format!("{far} does not answer within {} s", CONNECT.as_secs()))
        }
        // A proxy that has connected is not at fault any more.
        Web::Timeout(_) => passing(format!("{host} does not answer within {} s", limit.as_secs())),
        Web::ConnectProxyFailed(reason) => refused_by_proxy(&reason, &far, host),
        Web::BadUri(_) | Web::Http(_) => nowhere(uri),
        Web::InvalidProxyUrl => no_proxy(proxy),
        other => {
            let message = format!("{host} answers what is not HTTP ({other}); look at HF_ENDPOINT and the proxy");
            Fault { error: Error::new(Kind::Unavailable, message), is_passing: false }
        }
    }
}

/// TLS's own error is known by its first words only: it comes inside that of the connection.
fn is_of_certificate(cause: &impl fmt::Display) -> bool {
    cause.to_string().contains("invalid peer certificate")
}

fn certificate(host: &str, cause: &impl fmt::Display) -> Fault {
    let way = "if a proxy reads along, name its certificates with SSL_CERT_FILE";
    let message = format!("{host} is not who it says ({cause}); {way}");
    Fault { error: Error::new(Kind::Denied, message), is_passing: false }
}

fn refused_by_proxy(reason: &str, far: &str, host: &str) -> Fault {
    let status = reason.rsplit('/').next().and_then(|status| status.parse::<u16>().ok());
    let (kind, message) = match status {
        Some(407) => (Kind::Denied, format!("{far} wants a password; give it as `http://USER:PASSWORD@HOST`")),
        Some(status @ 400..500) => {
            let way = "set NO_PROXY if it can be asked directly";
            (Kind::Denied, format!("{far} does not let {host} be asked (it answers {status}); {way}"))
        }
        Some(status) => (Kind::Unavailable, format!("{far} does not reach {host} (it answers {status})")),
        None => (Kind::Unavailable, format!("{far} does not answer")),
    };
    Fault { error: Error::new(kind, message), is_passing: kind == Kind::Unavailable }
}

fn nowhere(uri: &Uri) -> Fault {
    let message = format!("`{}` is no address that can be asked", address::shown(uri));
    Fault { error: Error::new(Kind::Unavailable, message), is_passing: false }
}

fn no_proxy(proxy: Option<&Proxy>) -> Fault {
    let variable = proxy.map_or("the proxy", |proxy| proxy.variable);
    let message = format!("{variable} is no proxy's URL; give `http://HOST:PORT` or unset it");
    Fault { error: Error::new(Kind::Config, message), is_passing: false }
}
