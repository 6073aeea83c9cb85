//! The hub by https, with a certificate that nobody has signed.

use super::wire::Wire;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{net::TcpStream, sync::Arc};

/// A certificate for 127.0.0.1, with its key.
#[derive(Clone)]
pub(crate) struct Settings {
    /// What clients are to trust.
    pub(crate) certificate: String,
    config: Arc<ServerConfig>,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self::of_host("127.0.0.1")
    }

    /// For another host.
    pub(crate) fn of_host(host: &str) -> Self {
        let own = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there are some")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .expect("they are a pair");
        Self { certificate: own.cert.pem(), config: Arc::new(config) }
    }

    pub(super) fn accept(&self, stream: TcpStream) -> Option<Box<dyn Wire>> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).ok()?;
        Some(Box::new(StreamOwned::new(connection, stream)))
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}
