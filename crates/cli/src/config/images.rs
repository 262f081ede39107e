//! Pictures that people upload.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carebot_database::DbUrl;
use carebot_service::images::Settings;
use carebot_service::images::storage::{S3, Storage};

use super::Config;
use super::general::Mode;
use super::secret::Secret;
use super::server::PublicUrl;
use super::setting::section;
use super::value::{Raw, Rejected, Value, quoted};

/// The folder beside the database.
const FOLDER: &str = "images";

section! {
    /// Pictures that people upload: where they lie, what may be uploaded, how long they are kept. See `pictures.md`.
    pub struct Images in "images" {
        /// Where pictures lie: a folder (a path is relative to the working directory; the folder is made when the first
        /// picture comes), or `s3://bucket/prefix` for a bucket of an S3-compatible store. Several servers on one database
        /// need the same place.
        storage: Option<Place> = None, default "`images` beside the SQLite file, `images` in the working directory with MariaDB";
        /// What the addresses of new pictures begin with, if it is another than `server.public_url`, such as
        /// `https://images.example.org`. This very server must answer there.
        public_url: Option<PublicUrl> = None, default "`server.public_url`; in development this server on localhost";
        /// What the addresses of pictures began with before, at another host or the existing image server: what refers to
        /// a picture by such an address still shows it to those who may see it.
        former_urls: Vec<PublicUrl> = Vec::new();
        /// Largest picture, in MiB. Anything larger is refused with 413.
        max_mb: u64 = 10, in 1..=1_024, unit "MiB";
        /// Most pixels of a picture, in millions. It costs up to 8 bytes of memory for each pixel while a picture is
        /// decoded, and pictures take turns so that together they have no more pixels in memory than this.
        max_megapixels: u64 = 50, in 1..=1_000, unit "million pixels";
        /// What one account's pictures may have together, in MiB.
        quota_mb: u64 = 1_024, in 1..=1_048_576, unit "MiB";
        /// A picture that nothing refers to any more (no album, notification, message or report) is deleted after so many
        /// days; 0 keeps it for ever.
        unreferenced_days: u32 = 30, in 0..=36_500;
        /// How long a browser may show a picture without asking again.
        cache_seconds: u64 = 86_400, in 0..=31_536_000;
        /// S3: the store's address, such as `https://minio.example.org:9000`; Amazon's if not set.
        s3_endpoint: Option<PublicUrl> = None;
        /// S3: the region; needed with Amazon, and mostly of no meaning elsewhere.
        s3_region: Option<String> = None, default "`us-east-1`";
        /// S3: the access key.
        s3_access_key: Option<String> = None, default "the variables and machine roles that Amazon's own programs know";
        /// S3: the secret that belongs to the access key.
        s3_secret_key: Option<Secret> = None;
        /// S3: lets `s3_endpoint` be plain http, for a store on the same machine or network.
        s3_allow_http: bool = false;
    }
}

/// A folder or a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket, and what the names in it begin with.
    Bucket(String, String),
}

impl Value for Place {
    fn expected() -> String {
        "a folder, or `s3://bucket/prefix`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        let Some(place) = text.strip_prefix("s3://") else {
            return match text {
                "" => Err(Rejected::default()),
                text if text.contains("://") => Err(Rejected::because("the only kind of URL that is known is `s3://`")),
                text => Ok(Self::Folder(PathBuf::from(text))),
            };
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_plain = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
        if bucket.is_empty() || !is_plain(bucket, ".-_") {
            return Err(Rejected::because("a bucket's name has letters, digits, `.`, `-` and `_`"));
        }
        let prefix = prefix.trim_matches('/');
        if !is_plain(prefix, ".-_/") {
            return Err(Rejected::because("a prefix has letters, digits, `.`, `-`, `_` and `/`"));
        }
        Ok(Self::Bucket(bucket.to_owned(), prefix.to_owned()))
    }

    fn to_toml(&self) -> Option<String> {
        Some(match self {
            Self::Folder(folder) => quoted(&folder.to_string_lossy()),
            Self::Bucket(bucket, prefix) => quoted(&format!("s3://{bucket}/{prefix}")),
        })
    }
}

impl Images {
    /// Whether pictures lie in a bucket.
    pub fn is_in_bucket(&self) -> bool {
        matches!(self.storage, Some(Place::Bucket(..)))
    }

    fn place(&self, database: &DbUrl) -> Storage {
        match &self.storage {
            Some(Place::Folder(folder)) => Storage::Folder(folder.clone()),
            Some(Place::Bucket(bucket, prefix)) => Storage::S3(S3 {
                bucket: bucket.clone(),
                prefix: prefix.clone(),
                endpoint: self.s3_endpoint.as_ref().map(|url| url.as_str().to_owned()),
                region: self.s3_region.clone(),
                keys: self.s3_access_key.clone().zip(self.s3_secret_key.as_ref().map(|key| key.reveal().to_owned())),
                allow_http: self.s3_allow_http,
            }),
            None => Storage::Folder(match database {
                DbUrl::Sqlite { path } => path.parent().unwrap_or(Path::new("")).join(FOLDER),
                DbUrl::MariaDb(_) => PathBuf::from(FOLDER),
            }),
        }
    }
}

/// This server as one reaches it on this machine; nothing if the system chooses the port.
fn local_url(listen: SocketAddr, tls: bool) -> Option<String> {
    let scheme = if tls { "https" } else { "http" };
    let port = Some(listen.port()).filter(|port| *port != 0)?;
    // The cookie is for `localhost` in development.
    Some(match listen.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => format!("{scheme}://localhost:{port}"),
        _ => format!("{scheme}://{listen}"),
    })
}

impl Config {
    /// What the addresses of new pictures begin with: `images.public_url`, `server.public_url`, or in development this
    /// server on this machine. Without any of them they are paths.
    pub fn images_url(&self) -> Option<String> {
        let set = self.images.public_url.as_ref().or(self.server.public_url.as_ref());
        match (set, self.mode()) {
            (Some(url), _) => Some(url.as_str().to_owned()),
            (None, Mode::Development) => local_url(self.server.listen, self.tls.files().is_some()),
            (None, Mode::Release) => None,
        }
    }

    /// What to say if the addresses of pictures are not whole.
    pub fn images_warning(&self) -> Option<&'static str> {
        self.images_url().is_none().then_some(
            "uploads are answered with a path instead of a whole address, which pages at another host can not show; \
             set server.public_url (or images.public_url) to the address people reach this server under",
        )
    }

    /// What the use cases need to know of pictures.
    pub fn image_settings(&self, cores: NonZero<usize>) -> Settings {
        let images = &self.images;
        let server = self.server.public_url.iter();
        Settings {
            storage: images.place(&self.database.url),
            public_url: self.images_url(),
            other_urls: images.former_urls.iter().chain(server).map(|url| url.as_str().to_owned()).collect(),
            max_mib: images.max_mb,
            max_megapixels: images.max_megapixels,
            quota_mib: images.quota_mb,
            unreferenced_days: images.unreferenced_days,
            cache: Duration::from_secs(images.cache_seconds),
            decoders: cores.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Config {
        let loader =
            Config::loader().without_file().environment(environment.iter().copied()).flags(flags.iter().copied());
        loader.load().expect("a right configuration")
    }

    fn settings(flags: &[(&str, &str)]) -> Settings {
        load(flags, &[]).image_settings(NonZero::<usize>::MIN)
    }

    #[test]
    fn pictures_lie_beside_the_database() {
        assert_eq!(settings(&[]).storage, Storage::Folder("images".into()));
        for (database, folder) in [
            ("sqlite:/var/lib/carebot/carebot.db", "/var/lib/carebot/images"),
            ("sqlite:data/carebot.db", "data/images"),
            ("mariadb://u:p@h/s", "images"),
        ] {
            assert_eq!(settings(&[("database.url", database)]).storage, Storage::Folder(folder.into()), "{database}");
        }
        let set = [("database.url", "sqlite:/var/lib/carebot/carebot.db"), ("images.storage", "/srv/pictures")];
        assert_eq!(settings(&set).storage, Storage::Folder("/srv/pictures".into()));
    }

    #[test]
    fn pictures_can_lie_in_a_bucket() {
        let flags = [
            ("images.storage", "s3://care/of/pictures/"),
            ("images.s3_endpoint", "http://127.0.0.1:9000"),
            ("images.s3_access_key", "key"),
            ("images.s3_secret_key", "geheim"),
            ("images.s3_allow_http", "true"),
        ];
        let config = load(&flags, &[]);
        let Storage::S3(s3) = config.image_settings(NonZero::<usize>::MIN).storage else { panic!("a bucket") };
        assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), ("care", "of/pictures"));
        assert_eq!(s3.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(s3.keys, Some(("key".to_owned(), "geheim".to_owned())));
        assert!(!config.to_toml_masked().contains("geheim") && !format!("{config:?}").contains("geheim"));
        for wrong in ["s3://", "s3:///x", "s3://a b", "s3://a/ü", "https://bucket.s3.amazonaws.com", "file:///x"] {
            assert!(Place::parse(&Raw::Text(wrong.to_owned())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn half_of_a_bucket_is_refused() {
        for flags in [
            vec![("images.storage", "s3://care"), ("images.s3_access_key", "key")],
            vec![("images.storage", "s3://care"), ("images.s3_secret_key", "geheim")],
            vec![("images.storage", "s3://care"), ("images.s3_endpoint", "http://127.0.0.1:9000")],
            vec![("images.s3_endpoint", "https://127.0.0.1:9000")],
        ] {
            let error = Config::loader().without_file().flags(flags.clone()).load().expect_err("refused").to_string();
            assert!(error.contains("images.") && !error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn addresses_of_pictures_are_never_made_of_what_a_client_says() {
        let url = |flags: &[(&str, &str)]| load(flags, &[]).images_url();
        let (dev, server, own) = (
            ("mode", "development"),
            ("server.public_url", "https://care.example.org/"),
            ("images.public_url", "https://i.example.org"),
        );
        assert_eq!(url(&[]), None);
        assert!(load(&[], &[]).images_warning().is_some_and(|text| text.contains("server.public_url")));
        assert_eq!(url(&[dev]).as_deref(), Some("http://localhost:8000"));
        assert_eq!(url(&[dev, ("server.listen", "0.0.0.0:80")]).as_deref(), Some("http://localhost:80"));
        assert_eq!(url(&[dev, ("server.listen", "192.0.2.1:80")]).as_deref(), Some("http://192.0.2.1:80"));
        assert_eq!(url(&[dev, ("server.listen", "127.0.0.1:0")]), None);
        assert_eq!(url(&[server]).as_deref(), Some("https://care.example.org"));
        assert_eq!(url(&[server, own]).as_deref(), Some("https://i.example.org"));
        assert!(load(&[server], &[]).images_warning().is_none());
        let settings = settings(&[server, own, ("images.former_urls", "https://old.example.org")]);
        assert_eq!(settings.other_urls, ["https://old.example.org", "https://care.example.org"]);
    }

    #[test]
    fn the_originals_variables_are_understood() {
        let environment = [
            ("IMAGE_URL", "https://image.example.org"),
            ("IMAGE_STORAGE", "/srv/images"),
            ("MAX_IMAGE_SIZE", "20"),
            ("CACHE_DURATION", "60"),
        ];
        let config = load(&[], &environment);
        assert_eq!(config.images_url().as_deref(), Some("https://image.example.org"));
        let settings = config.image_settings(NonZero::<usize>::MIN);
        assert_eq!(settings.storage, Storage::Folder("/srv/images".into()));
        assert_eq!((settings.max_mib, settings.cache), (20, Duration::from_mins(1)));
    }
}
