//! Page cursors: opaque, signed, and good for one tenant and one list only (S-013).

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use trunkline_core::id::TenantId;

use crate::error::{Kind, Problem};

/// File of the key in the data directory; nodes that share clients share this file.
const KEY_FILE: &str = "cursor.key";

const KEY_BYTES: usize = 32;

/// 128 bits are enough against guessing and keep cursors short.
const MAC_BYTES: usize = 16;

/// Signs and reads cursors.
#[derive(Clone)]
pub struct CursorKey([u8; KEY_BYTES]);

impl CursorKey {
    /// Reads the key of `data`, making it on first use: cursors survive a restart.
    pub fn load(data: &Path) -> anyhow::Result<CursorKey> {
        let path = data.join(KEY_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let key = bytes
                    .try_into()
                    .ok()
                    .with_context(|| format!("{} is damaged; remove it", path.display()))?;
                Ok(CursorKey(key))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = CursorKey::random();
                std::fs::create_dir_all(data).with_context(|| format!("make {}", data.display()))?;
                let mut options = std::fs::OpenOptions::new();
                let mut file = options
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .with_context(|| format!("write {}", path.display()))?;
                file.write_all(&key.0)
                    .and_then(|()| file.sync_all())
                    .with_context(|| format!("write {}", path.display()))?;
                Ok(key)
            }
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// A key for this process only.
    pub fn random() -> CursorKey {
        CursorKey(rand::random())
    }

    /// Signs a place in a list.
    pub fn seal(&self, tenant: TenantId, list: &str, place: &str) -> String {
        let mut bytes = self.mac(tenant, list, place.as_bytes());
        bytes.extend_from_slice(place.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place, if we signed it for this tenant and list.
    pub fn open(&self, tenant: TenantId, list: &str, cursor: &str) -> Result<String, Problem> {
        let refused = || Problem::new(Kind::Cursor, "The cursor is not one that this list gave out; begin without it.");
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let (mac, place) = bytes.split_at_checked(MAC_BYTES).ok_or_else(refused)?;
        self.hmac(tenant, list, place).verify_truncated_left(mac).map_err(|_| refused())?;
        String::from_utf8(place.to_vec()).map_err(|_| refused())
    }

    fn mac(&self, tenant: TenantId, list: &str, place: &[u8]) -> Vec<u8> {
        self.hmac(tenant, list, place).finalize().into_bytes()[..MAC_BYTES].to_vec()
    }

    fn hmac(&self, tenant: TenantId, list: &str, place: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(tenant.0.as_bytes());
        // The length keeps list and place apart.
        mac.update(&(list.len() as u64).to_be_bytes());
        mac.update(list.as_bytes());
        mac.update(place);
        mac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_opens_for_its_tenant_and_list_only(place in ".{0,80}", a: u128, b: u128, flip in 0usize..200) {
            let key = CursorKey::random();
            let (one, other) = (TenantId(Uuid::from_u128(a)), TenantId(Uuid::from_u128(b)));
            let cursor = key.seal(one, "calls", &place);
            prop_assert_eq!(key.open(one, "calls", &cursor).ok(), Some(place.clone()));
            prop_assert!(a == b || key.open(other, "calls", &cursor).is_err());
            prop_assert!(key.open(one, "events", &cursor).is_err());
            prop_assert!(CursorKey::random().open(one, "calls", &cursor).is_err());
            let mut edited = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            let at = flip % edited.len();
            edited[at] ^= 1;
            prop_assert!(key.open(one, "calls", &URL_SAFE_NO_PAD.encode(edited)).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            prop_assert!(CursorKey::random().open(TenantId(Uuid::nil()), "calls", &text).is_err());
        }
    }

    #[test]
    fn the_key_is_made_once() {
        let data = tempfile::tempdir().unwrap();
        let tenant = TenantId(Uuid::nil());
        let cursor = CursorKey::load(data.path()).unwrap().seal(tenant, "calls", "7");
        assert_eq!(CursorKey::load(data.path()).unwrap().open(tenant, "calls", &cursor).unwrap(), "7");
    }

    #[test]
    fn damaged_cursors_open_nothing() {
        let (key, tenant) = (CursorKey::random(), TenantId(Uuid::from_u128(7)));
        let good: Vec<String> = ["", "7", "1795305600000.call.x"]
            .iter()
            .map(|place| key.seal(tenant, "calls", place))
            .collect();
        let seeds: Vec<Vec<u8>> = good.iter().map(|cursor| cursor.clone().into_bytes()).collect();
        crate::damage::damage("cursors", &seeds, |text| {
            let text = String::from_utf8_lossy(text);
            if key.open(tenant, "calls", &text).is_ok() {
                assert!(good.iter().any(|cursor| *cursor == text), "{text}");
            }
        });
    }
}
