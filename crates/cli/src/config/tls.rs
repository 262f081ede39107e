//! Encryption by the program itself.

use std::path::{Path, PathBuf};

use super::setting::section;

section! {
    /// Encryption by the program itself; not needed behind a proxy that encrypts. The files are read again when they
    /// change. Set both or neither.
    pub struct Tls in "tls" {
        /// PEM file with the server's certificate, followed by the intermediate ones.
        certificate: Option<PathBuf> = None;
        /// PEM file with the private key of the certificate.
        key: Option<PathBuf> = None;
    }
}

impl Tls {
    /// Certificate and key, if the program encrypts.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }
}
