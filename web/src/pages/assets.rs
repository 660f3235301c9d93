//! Styles, scripts, fonts and icons: embedded, named by the hash of all of them, kept by browsers for ever.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::error::Problem;

/// Digits of the hash in addresses: enough that two builds never meet.
const HASH_DIGITS: usize = 12;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

struct Asset {
    plain: Bytes,
    gzip: Option<Bytes>,
    mime: &'static str,
}

struct Shelf {
    prefix: String,
    files: HashMap<String, Asset>,
}

static SHELF: LazyLock<Shelf> = LazyLock::new(Shelf::fill);

/// What addresses of static files begin with: `/assets/<hash>`. One hash for all, so that files name each other by
/// plain relative paths and no page ever mixes two builds.
pub fn prefix() -> &'static str {
    &SHELF.prefix
}

/// `GET /assets/{hash}/{path}`. A page of another build asks with its own hash: it gets the file we have, not kept.
pub async fn serve(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (hash, path) = path.into_inner();
    let asset = SHELF.files.get(&path).ok_or_else(Problem::not_found)?;
    let current = prefix().ends_with(&hash) && hash.len() == HASH_DIGITS;
    let keep = if current {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, asset.mime))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static(keep)))
        .insert_header((header::VARY, "Accept-Encoding"));
    Ok(match &asset.gzip {
        Some(gzip) if takes_gzip(&request) => response.insert_header((header::CONTENT_ENCODING, "gzip")).body(gzip.clone()),
        _ => response.body(asset.plain.clone()),
    })
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|text| {
        text.split(',')
            .any(|coding| coding.trim().starts_with("gzip") && !coding.contains("q=0"))
    })
}

impl Shelf {
    fn fill() -> Shelf {
        let mut names: Vec<Cow<'static, str>> = Files::iter().collect();
        names.sort();
        let mut hash = Sha256::new();
        let mut files = HashMap::new();
        for name in names {
            let Some(file) = Files::get(&name) else { continue };
            hash.update(name.as_bytes());
            hash.update(file.metadata.sha256_hash());
            let plain = Bytes::from(file.data.into_owned());
            let mime = mime(&name);
            let gzip = if mime.starts_with("font/") { None } else { pack(&plain) };
            files.insert(name.into_owned(), Asset { plain, gzip, mime });
        }
        let prefix = format!("/assets/{}", &hex::encode(hash.finalize())[..HASH_DIGITS]);
        Shelf { prefix, files }
    }
}

/// Packed once at start-up; fonts are packed already.
fn pack(plain: &[u8]) -> Option<Bytes> {
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < plain.len()).map(Bytes::from)
}

fn mime(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("") {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => "text/plain; charset=utf-8",
    }
}
