//! The engine's C interface: a dozen functions found at run time in `libchdb.so`, and owners for what they return.
//!
//! Declared by hand from the library's header (chdb.h of 26.7); nothing is linked, so a build needs no engine.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::ptr::{self, NonNull};

use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};

use super::DoorError;

const SUCCESS: c_int = 0;

/// `chdb_connection`: a handle behind one more pointer, which is what connecting returns.
type Session = *mut c_void;

type Connect = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Session;
type Close = unsafe extern "C" fn(*mut Session);
type Query = unsafe extern "C" fn(
    Session,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> *mut c_void;
type Classify = unsafe extern "C" fn(Session, *const c_char, usize, *const c_char, usize, *mut Analysis) -> c_int;
type InsertBegin = unsafe extern "C" fn(Session, *const c_char, usize, *const c_char, usize) -> *mut c_void;
type InsertAppend = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_int;
type Produce = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
type Consume = unsafe extern "C" fn(*mut c_void);
type Text = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type Length = unsafe extern "C" fn(*mut c_void) -> usize;
type Count = unsafe extern "C" fn(*mut c_void) -> u64;
type SetFlag = unsafe extern "C" fn(c_int);

/// What the engine's own parser says about a statement; `chdb_query_analysis_v1`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Analysis {
    size: u32,
    /// How many statements the text holds; 0 when it does not parse.
    pub statements: u32,
    flags: u32,
    class: u32,
}

impl Analysis {
    /// True for statements that leave no trace: `SELECT`, `SHOW`, `DESCRIBE`, `EXPLAIN`, `EXISTS`, `CHECK`.
    pub fn reads_only(&self) -> bool {
        self.statements > 0 && self.class == 0
    }
}

/// The loaded library. It is never unloaded: its threads live until the process ends.
pub(super) struct Library {
    connect: Connect,
    close: Close,
    query: Query,
    classify: Classify,
    insert_begin: InsertBegin,
    insert_append: InsertAppend,
    insert_done: Produce,
    insert_error: Text,
    insert_destroy: Consume,
    result_buffer: Text,
    result_length: Length,
    result_error: Text,
    result_read_rows: Count,
    result_read_bytes: Count,
    result_written_rows: Count,
    result_written_bytes: Count,
    result_destroy: Consume,
    _loaded: Loaded,
}

impl Library {
    /// Loads `path` and finds every function; the engine itself does not start yet. Its signal handlers stay off, because
    /// signals are ours.
    pub fn load(path: &Path) -> Result<Library, DoorError> {
        let failed = |error: libloading::Error| DoorError::Library {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        // SAFETY: loading runs the library's initialisers; that is what the operator asked for by naming it.
        let loaded = unsafe { Loaded::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(failed)?;
        macro_rules! find {
            ($name:literal) => {
                // SAFETY: the types above repeat chdb.h of the pinned version.
                *unsafe { loaded.get(concat!($name, "\0").as_bytes()) }.map_err(failed)?
            };
        }
        let signal_handlers: SetFlag = find!("chdb_set_signal_handlers_enabled");
        let library = Library {
            connect: find!("chdb_connect"),
            close: find!("chdb_close_conn"),
            query: find!("chdb_query_with_params_n"),
            classify: find!("chdb_classify_query_n"),
            insert_begin: find!("chdb_stream_insert_n"),
            insert_append: find!("chdb_stream_append"),
            insert_done: find!("chdb_stream_done"),
            insert_error: find!("chdb_stream_insert_error"),
            insert_destroy: find!("chdb_destroy_insert_stream"),
            result_buffer: find!("chdb_result_buffer"),
            result_length: find!("chdb_result_length"),
            result_error: find!("chdb_result_error"),
            result_read_rows: find!("chdb_result_storage_rows_read"),
            result_read_bytes: find!("chdb_result_storage_bytes_read"),
            result_written_rows: find!("chdb_result_rows_written"),
            result_written_bytes: find!("chdb_result_bytes_written"),
            result_destroy: find!("chdb_destroy_query_result"),
            _loaded: loaded,
        };
        // SAFETY: called once, before the first connection, as the header asks.
        unsafe { signal_handlers(0) };
        Ok(library)
    }

    /// Opens a connection. The first one starts the engine with `arguments`; later ones take part of a millisecond.
    pub fn connect(&'static self, arguments: &[String]) -> Result<Connection, DoorError> {
        let texts: Vec<CString> = std::iter::once("clickhouse")
            .chain(arguments.iter().map(String::as_str))
            .map(|text| CString::new(text).map_err(|_| DoorError::Refused(format!("argument {text:?} holds a zero byte"))))
            .collect::<Result<_, _>>()?;
        let mut pointers: Vec<*mut c_char> = texts.iter().map(|text| text.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).expect("a handful of arguments");
        // SAFETY: `pointers` holds `count` zero-ended strings that outlive the call; the engine copies them.
        let raw = unsafe { (self.connect)(count, pointers.as_mut_ptr()) };
        NonNull::new(raw)
            .map(|raw| Connection { library: self, raw })
            .ok_or_else(|| DoorError::Refused("the engine did not start; its reason is on standard error above".into()))
    }
}

/// One session of the engine: its own settings and current database. Runs one statement at a time.
pub(super) struct Connection {
    library: &'static Library,
    raw: NonNull<Session>,
}

// SAFETY: the header promises that a connection may be used from any thread; `&mut self` keeps it to one at a time.
unsafe impl Send for Connection {}

impl Connection {
    fn session(&self) -> Session {
        // SAFETY: `raw` came from connecting and is closed only when dropped.
        unsafe { *self.raw.as_ptr() }
    }

    /// Runs one statement with named parameters; the whole answer is in memory afterwards.
    pub fn query(&mut self, sql: &str, format: &str, parameters: &[(String, String)]) -> Answer {
        let names: Vec<*const c_char> = parameters.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = parameters.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const c_char> = parameters.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = parameters.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: every pointer goes with its length and outlives the call.
        let raw = unsafe {
            (self.library.query)(
                self.session(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        Answer {
            library: self.library,
            raw,
        }
    }

    /// What `sql` would do, by the engine's own parser; nothing runs.
    pub fn classify(&mut self, sql: &str) -> Option<Analysis> {
        let size = u32::try_from(size_of::<Analysis>()).expect("sixteen bytes");
        let mut analysis = Analysis {
            size,
            statements: 0,
            flags: 0,
            class: u32::MAX,
        };
        // SAFETY: the text goes with its length; no database of our own is named; `size` bounds what is written.
        let state = unsafe { (self.library.classify)(self.session(), sql.as_ptr().cast(), sql.len(), ptr::null(), 0, &raw mut analysis) };
        (state == SUCCESS).then_some(analysis)
    }

    /// Begins `INSERT …` (without its `FORMAT`), whose data follow in chunks.
    pub fn insert(&mut self, sql: &str, format: &str) -> Insert<'_> {
        // SAFETY: both texts go with their lengths.
        let raw =
            unsafe { (self.library.insert_begin)(self.session(), sql.as_ptr().cast(), sql.len(), format.as_ptr().cast(), format.len()) };
        Insert {
            library: self.library,
            raw,
            _connection: PhantomData,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: closed once, here; answers and inserts of it are owned apart or borrow it.
        unsafe { (self.library.close)(self.raw.as_ptr()) };
    }
}

/// An insert under way. Dropped before [`Insert::finish`] it is cancelled and leaves nothing.
pub(super) struct Insert<'c> {
    library: &'static Library,
    raw: *mut c_void,
    _connection: PhantomData<&'c mut Connection>,
}

impl Insert<'_> {
    /// Hands over the next chunk; false when the insert has failed ([`Insert::error`] says why).
    pub fn append(&mut self, chunk: &[u8]) -> bool {
        // SAFETY: the chunk goes with its length and is copied.
        unsafe { (self.library.insert_append)(self.raw, chunk.as_ptr().cast(), chunk.len()) == SUCCESS }
    }

    /// Why the insert failed, if it did.
    pub fn error(&self) -> Option<String> {
        // SAFETY: `raw` lives until it is dropped.
        unsafe { text((self.library.insert_error)(self.raw)) }
    }

    /// Ends the data and stores them.
    pub fn finish(self) -> Answer {
        // SAFETY: `raw` is alive; the result is owned apart from it.
        let raw = unsafe { (self.library.insert_done)(self.raw) };
        Answer {
            library: self.library,
            raw,
        }
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: destroyed once, here.
        unsafe { (self.library.insert_destroy)(self.raw) };
    }
}

/// What a statement answered. The bytes stay in the engine's memory; nothing is copied.
pub(super) struct Answer {
    library: &'static Library,
    raw: *mut c_void,
}

// SAFETY: a result is plain memory that belongs to whoever holds the handle.
unsafe impl Send for Answer {}
// SAFETY: reading it changes nothing.
unsafe impl Sync for Answer {}

impl Answer {
    /// The engine's error text, beginning with `Code: n. DB::Exception`.
    pub fn error(&self) -> Option<String> {
        if self.raw.is_null() {
            return Some("Code: 49. DB::Exception: the engine gave no answer. (LOGICAL_ERROR)".into());
        }
        // SAFETY: `raw` is alive.
        unsafe { text((self.library.result_error)(self.raw)) }
    }

    /// The counts of ClickHouse's `X-ClickHouse-Summary` header.
    pub fn summary(&self) -> String {
        // SAFETY: `raw` is alive; callers have looked at `error` first.
        let count = |of: Count| if self.raw.is_null() { 0 } else { unsafe { of(self.raw) } };
        format!(
            r#"{{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}"}}"#,
            count(self.library.result_read_rows),
            count(self.library.result_read_bytes),
            count(self.library.result_written_rows),
            count(self.library.result_written_bytes),
        )
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        if self.raw.is_null() {
            return &[];
        }
        // SAFETY: the buffer belongs to the result, which lives as long as `self`, and is `length` bytes long.
        unsafe {
            let buffer = (self.library.result_buffer)(self.raw);
            let length = (self.library.result_length)(self.raw);
            if buffer.is_null() || length == 0 {
                &[]
            } else {
                std::slice::from_raw_parts(buffer.cast(), length)
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: destroyed once, here.
            unsafe { (self.library.result_destroy)(self.raw) };
        }
    }
}

/// Copies a text that the engine owns.
///
/// # Safety
/// `pointer` is null or a zero-ended string.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: promised by the caller.
    let text = (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned());
    text.filter(|text| !text.is_empty())
}
