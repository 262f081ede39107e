//! `carebot serve` with TLS.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::support::{Browser, Place};

struct Pair {
    certificate: String,
    key: String,
}

fn pair() -> Pair {
    let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let CertifiedKey { cert, signing_key } = made;
    Pair { certificate: cert.pem(), key: signing_key.serialize_pem() }
}

fn browser(url: &str, trusted: &Pair) -> Browser {
    let root = reqwest::Certificate::from_pem(trusted.certificate.as_bytes()).expect("a certificate");
    Browser::with(url, |builder| builder.tls_certs_only([root]))
}

#[test]
fn a_changed_certificate_is_used_without_a_restart() {
    let place = Place::new();
    let (first, second) = (pair(), pair());
    place.write("certificate.pem", &first.certificate);
    place.write("key.pem", &first.key);
    let mut server = place.serve(&[
        "--database",
        "sqlite:a.db",
        "--create",
        "--tls-certificate",
        "certificate.pem",
        "--tls-key",
        "key.pem",
    ]);
    let url = server.url.replace("127.0.0.1", "localhost");
    assert!(url.starts_with("https://"), "{url}");
    assert_eq!(browser(&url, &first).get("healthz").0, 200);
    assert!(browser(&url, &second).try_get("healthz").is_err(), "the second is not in use yet");

    place.write("key.pem", &second.key);
    place.write("certificate.pem", &second.certificate);
    server.program.wait_for_log("the TLS certificate was read again");
    assert_eq!(browser(&url, &second).get("healthz").0, 200);
    assert!(browser(&url, &first).try_get("healthz").is_err(), "the first is in use no more");
    server.stop();
}

#[test]
fn files_that_do_not_fit_are_an_error_that_names_them() {
    let place = Place::new();
    place.write("certificate.pem", &pair().certificate);
    place.write("key.pem", &pair().key);
    let serve = |certificate: &str, key: &str| {
        let flags = ["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--database", "sqlite:a.db", "--create"];
        place.run(&[flags.as_slice(), &["--tls-certificate", certificate, "--tls-key", key]].concat())
    };
    let error = serve("certificate.pem", "key.pem").failed(1);
    assert!(error.contains("TLS: the certificate or key cannot be used"), "{error}");
    let error = serve("missing.pem", "key.pem").failed(1);
    assert!(error.contains("missing.pem") && error.contains("tls.certificate"), "{error}");
    let error = place.run(&["serve", "--set", "tls.key=key.pem"]).failed(2);
    assert!(error.contains("tls.certificate, tls.key: set both or neither"), "{error}");
}
