//! Identities: made once at the edge, trusted after.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What ids of this type begin with in the API.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&public::write(Self::PREFIX, self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = public::BadId;
            /// Reads the public form; the error says which prefix was expected.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                public::read(Self::PREFIX, text).map(Self)
            }
        }
    };
}

identity!(
    /// An organisation: the tenant. Nothing is ever read across two of them.
    TenantId, "org_"
);
identity!(
    /// One business of an organisation; its board, its agents, its calls.
    BusinessId, "biz_"
);
identity!(
    /// One Retell workspace (one signing key set, one intake address) of an organisation.
    WorkspaceId, "wsp_"
);
identity!(
    /// A person who signs in.
    UserId, "usr_"
);
identity!(
    /// An invitation of somebody who is not yet there.
    InvitationId, "inv_"
);
identity!(
    /// An API key.
    KeyId, "key_"
);
identity!(
    /// That somebody of the platform has opened an organisation's data for a while.
    OpeningId, "opn_"
);

identity!(
    /// A link that shows a board on a screen without a seat.
    LinkId, "tvl_"
);
identity!(
    /// An endpoint that outbound webhooks go to.
    EndpointId, "whe_"
);
identity!(
    /// A job: a piece of work that leaves the house.
    JobId, "job_"
);

/// The written form of ids in the API: a prefix that tells the type, then the UUID in Crockford base32
/// (26 characters, lower case), so that ids sort by creation and survive a double click.
pub mod public {
    use uuid::Uuid;

    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    /// Why a text is not an id of the wanted type.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[error("expected an id that begins with \"{expected}\", followed by 26 letters and digits")]
    pub struct BadId {
        /// The prefix that ids of the wanted type have.
        pub expected: &'static str,
    }

    /// Writes `uuid` behind `prefix`.
    pub fn write(prefix: &str, uuid: Uuid) -> String {
        let value = uuid.as_u128();
        let mut text = String::with_capacity(prefix.len() + 26);
        text.push_str(prefix);
        for place in (0..26).rev() {
            text.push(DIGITS[((value >> (place * 5)) & 31) as usize] as char);
        }
        text
    }

    /// Reads what [`write()`] wrote; letters in either case.
    pub fn read(prefix: &'static str, text: &str) -> Result<Uuid, BadId> {
        let bad = BadId { expected: prefix };
        let digits = text.strip_prefix(prefix).ok_or(bad.clone())?;
        if digits.len() != 26 || digits.as_bytes()[0] > b'7' {
            return Err(bad);
        }
        let mut value: u128 = 0;
        for byte in digits.bytes() {
            let digit = DIGITS.iter().position(|d| *d == byte.to_ascii_lowercase()).ok_or(bad.clone())?;
            value = (value << 5) | digit as u128;
        }
        Ok(Uuid::from_u128(value))
    }
}

/// Voice call or chat. The same id of both kinds is two things (rule A13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A voice call: phone or web.
    Call,
    /// A text chat.
    Chat,
}

impl Kind {
    /// `call` or `chat`, as stored and as shown in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Call => "call",
            Kind::Chat => "chat",
        }
    }
}

/// Which call: identity is always (tenant, kind, Retell's id) (rule A13).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// Call or chat.
    pub kind: Kind,
    /// Retell's `call_id` or `chat_id`, opaque, 1 to 256 bytes.
    pub id: Arc<str>,
}
