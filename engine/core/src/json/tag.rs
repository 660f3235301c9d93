//! Tells the names of members apart by one comparison of numbers instead of one of texts per known name.

use super::tape::Value;

/// The first seven bytes of a name and its length.
pub const fn tag(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut tag = 0;
    let mut place = 0;
    while place < 7 {
        tag = tag << 8 | if place < bytes.len() { bytes[place] as u64 } else { 0 };
        place += 1;
    }
    tag << 8 | if bytes.len() < 255 { bytes.len() as u64 } else { 255 }
}

/// Values of the members of `$object` that are read, the last of each name (rule A6), as fields of a struct.
macro_rules! last_of_each {
    ($object:expr, $($name:ident),+ $(,)?) => {{
        #[allow(non_upper_case_globals)]
        mod tags {
            $(pub const $name: u64 = $crate::json::tag(stringify!($name));)+
        }
        #[derive(Default)]
        struct Members<'a> { $($name: Option<$crate::json::Value<'a>>,)+ }
        let mut members = Members::default();
        for (name, value) in $object.members() {
            match name.tag() {
                $(tags::$name if name.is(stringify!($name)) => members.$name = Some(value),)+
                _ => {}
            }
        }
        members
    }};
}
pub(crate) use last_of_each;

impl Value<'_> {
    /// The [`tag()`] of a member's name.
    #[inline]
    pub(crate) fn tag(self) -> u64 {
        if self.escaped() { tag(&self.name()) } else { tag(self.raw()) }
    }
}
