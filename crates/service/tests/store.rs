//! The store of pictures, the same on every kind: memory, a folder, and S3 as a real server on a socket speaks it.

use std::net::Ipv4Addr;

use bytes::Bytes;
use carebot_model::Timestamp;
use carebot_service::Error;
use carebot_service::images::storage::{S3, SHARDS, Storage, Store, thumbnail_name};
use futures_util::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

const KEY: (&str, &str) = ("an-access-key", "geheim");

/// An S3 server over a folder, with a bucket `care`. It ends with the test.
async fn s3_server(folder: &std::path::Path) -> String {
    // As `main` does: the client can also speak TLS, and asks how.
    let _ = rustls::crypto::ring::default_provider().install_default();
    std::fs::create_dir(folder.join("care")).expect("a bucket");
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).expect("a folder"));
    builder.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
    let service = builder.build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let http = Builder::new(TokioExecutor::new());
                // A client that goes away is no failure of the test.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    format!("http://{address}")
}

fn bucket(endpoint: &str, prefix: &str, secret: &str) -> Storage {
    Storage::S3(S3 {
        bucket: "care".to_owned(),
        prefix: prefix.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: None,
        keys: Some((KEY.0.to_owned(), secret.to_owned())),
        allow_http: true,
    })
}

async fn bytes(store: &Store, name: &str, range: Option<std::ops::Range<u64>>) -> Option<Vec<u8>> {
    let stream = store.stream(name, range).await.expect("the store answers")?;
    let pieces: Vec<Bytes> = stream.try_collect().await.expect("it is whole");
    Some(pieces.concat())
}

/// What every store does.
async fn works(store: &Store) {
    let name = format!("a7{}", "0".repeat(30));
    let small = thumbnail_name(&name, 320);
    assert_eq!(store.read(&name).await.expect("the store answers"), None);
    assert_eq!(bytes(store, &name, None).await, None);
    store.delete(&name).await.expect("what is not there is as good as deleted");

    // Larger than what is read at once.
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(3_000_001).collect();
    store.put(&name, content.clone().into()).await.expect("it is stored");
    store.put(&small, Bytes::from_static(b"small")).await.expect("it is stored");
    assert!(store.read(&name).await.expect("the store answers").is_some_and(|read| read == content));
    assert!(bytes(store, &name, None).await.is_some_and(|read| read == content));
    assert_eq!(bytes(store, &name, Some(5..9)).await.as_deref(), Some(&content[5..9]));
    assert_eq!(bytes(store, &name, Some(2_999_999..3_000_001)).await.as_deref(), Some(&content[2_999_999..]));
    assert_eq!(store.read(&small).await.expect("the store answers").as_deref(), Some(&b"small"[..]));

    let other = format!("a8{}", "1".repeat(30));
    store.put(&thumbnail_name(&other, 160), Bytes::from_static(b"alone")).await.expect("it is stored");
    let older = async |shard, than| store.older(shard, than).await.expect("it can be listed");
    assert_eq!(older("a7", Timestamp::MAX).await, std::slice::from_ref(&name));
    assert_eq!(older("a8", Timestamp::MAX).await, std::slice::from_ref(&other));
    assert!(older("a7", Timestamp::MIN).await.is_empty(), "nothing is that old");
    assert!(older("a9", Timestamp::MAX).await.is_empty());

    store.delete(&name).await.expect("it is deleted");
    assert_eq!(store.read(&name).await.expect("the store answers"), None);
    assert_eq!(store.read(&small).await.expect("the store answers"), None, "thumbnails go with it");
    store.delete(&other).await.expect("it is deleted");
    for shard in 0..SHARDS {
        assert!(store.older(&format!("{shard:02x}"), Timestamp::MAX).await.expect("listed").is_empty(), "{shard:02x}");
    }
}

#[tokio::test]
async fn memory_is_a_store() {
    works(&Store::new(Storage::Memory)).await;
}

#[tokio::test]
async fn a_folder_is_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let pictures = folder.path().join("of carebot/pictures");
    works(&Store::new(Storage::Folder(pictures.clone()))).await;
    // The next start finds what the one before has left.
    let (before, after) = (Store::new(Storage::Folder(pictures.clone())), Store::new(Storage::Folder(pictures)));
    let name = "b".repeat(32);
    before.put(&name, Bytes::from_static(b"x")).await.expect("it is stored");
    assert_eq!(after.read(&name).await.expect("the store answers").as_deref(), Some(&b"x"[..]));
}

#[tokio::test]
async fn an_s3_server_is_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = s3_server(folder.path()).await;
    for prefix in ["", "of/pictures"] {
        works(&Store::new(bucket(&endpoint, prefix, KEY.1))).await;
    }
    let name = "c".repeat(32);
    Store::new(bucket(&endpoint, "x", KEY.1)).put(&name, Bytes::from_static(b"x")).await.expect("it is stored");
    assert!(folder.path().join("care/x/cc").join(&name).is_file(), "a name in the bucket is the prefix and ours");
}

#[tokio::test]
async fn an_s3_server_that_refuses_or_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = s3_server(folder.path()).await;
    let name = "d".repeat(32);
    let store = Store::new(bucket(&endpoint, "", "wrong"));
    let refused = store.put(&name, Bytes::from_static(b"x")).await.expect_err("the key is wrong");
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    // A port on which nobody listens any more.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket is free");
    let address = nobody.local_addr().expect("it has an address");
    drop(nobody);
    let store = Store::new(bucket(&format!("http://{address}"), "", KEY.1));
    assert!(matches!(store.read(&name).await, Err(Error::Unavailable(_))));
}
