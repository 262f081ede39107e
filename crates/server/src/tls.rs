//! TLS: certificate and key from files, read again when they change.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
pub const CHECK: Duration = Duration::from_secs(5);

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("the certificate or key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    files: (PathBuf, PathBuf),
    current: RwLock<(Arc<CertifiedKey>, Option<SystemTime>)>,
}

fn file_error(path: &Path, reason: impl std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: reason.to_string() }
}

impl Certificate {
    /// Reads certificate chain and key, in PEM.
    ///
    /// # Errors
    /// [`TlsError`] with the file that is wrong.
    pub fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let files = (certificate.to_owned(), key.to_owned());
        let changed = changed(&files);
        let current = RwLock::new((read(&files)?, changed));
        Ok(Arc::new(Self { files, current }))
    }

    /// Reads the files again if one has changed. What cannot be used is logged, and the certificate in use stays.
    pub fn refresh(&self) {
        let now = changed(&self.files);
        if now == self.current.read().unwrap_or_else(PoisonError::into_inner).1 {
            return;
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        match read(&self.files) {
            Ok(key) => {
                *current = (key, now);
                tracing::info!("the TLS certificate was read again");
            }
            Err(error) => {
                current.1 = now;
                tracing::error!(%error, "the changed TLS certificate cannot be used; the old one stays in use");
            }
        }
    }

    /// What accepts connections.
    ///
    /// # Errors
    /// [`TlsError::Unusable`] if the protocol versions are not supported.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

/// When the newer of the files was changed.
fn changed(files: &(PathBuf, PathBuf)) -> Option<SystemTime> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    time(&files.0).max(time(&files.1))
}

fn read((certificate, key): &(PathBuf, PathBuf)) -> Result<Arc<CertifiedKey>, TlsError> {
    let open = |path: &Path| File::open(path).map(BufReader::new).map_err(|error| file_error(path, error));
    let chain: Vec<_> = CertificateDer::pem_reader_iter(open(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| file_error(certificate, error))?;
    if chain.is_empty() {
        return Err(file_error(certificate, "there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_reader(open(key)?).map_err(|error| file_error(key, error))?;
    let signing = sign::any_supported_type(&private)?;
    let pair = CertifiedKey::new(chain, signing);
    pair.keys_match()?;
    Ok(Arc::new(pair))
}
